use super::*;
use crate::ByteSize;

fn loaded(text: &str, variables: &[(&str, &str)]) -> Result<(Loaded, PathBuf), String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sdtrtd.toml");
    fs::write(&path, text).unwrap();
    let variables = variables.iter().map(|(name, text)| (name.into(), text.into()));
    let loaded = load(Some(&path), variables)
        .and_then(|loaded| loaded.check(&["sd1".into(), "sdxl".into()]).map(|()| loaded));
    let short = dir.path().to_str().unwrap().to_owned() + "/";
    loaded.map(|loaded| (loaded, path)).map_err(|error| error.to_string().replace(&short, ""))
}

#[test]
fn variables_override_the_file_and_each_value_has_its_origin() {
    let text = "models_dirs = ['m']\n\nquota = '1 GB'\nsettle_seconds = 1";
    let variables = [
        ("SDTRT_QUOTA", "2 GB"),
        ("SDTRT_IDLE_SECONDS", "7"),
        ("SDTRT_KEEP_MODEL_JSON", "true"),
        ("SDTRT_COMPUTE_CAPABILITIES", "8.9, 12.0"),
        ("SDTRT_RULES", "[{ name = '*lcm*', presets = [] }]"),
        ("SDTRT_SETTLE_SECONDS", ""),
        ("SDTRT_TEST_RUNTIME", "/elsewhere"),
    ];
    let (loaded, path) = loaded(text, &variables).unwrap();
    let config = &loaded.config;
    assert_eq!(config.models_dirs, [path.with_file_name("m")]);
    assert_eq!(config.quota, Some(ByteSize::gb(2)));
    assert_eq!((config.settle_seconds, config.idle_seconds), (1.0, 7.0));
    assert!(config.keep_model_json);
    assert_eq!(config.compute_capabilities.len(), 2);
    assert_eq!(config.rules[0].name.as_deref(), Some("*lcm*"));
    let line = |line| Origin::File { path: path.clone(), line };
    for (key, origin) in [
        ("models_dirs", line(1)),
        ("quota", Origin::Variable("SDTRT_QUOTA".into())),
        ("settle_seconds", line(4)),
        ("data_dir", Origin::Default),
    ] {
        assert_eq!(loaded.origin(key), origin, "{key}");
    }
}

#[test]
fn paths_are_relative_to_the_file_the_working_directory_or_the_home() {
    let (loaded, path) =
        loaded("models_dirs = ['~/m', '/a']\ndata_dir = 'd'", &[("SDTRT_SOCKET", "s")]).unwrap();
    let home = env::home_dir().unwrap();
    assert_eq!(loaded.config.models_dirs, [home.join("m"), PathBuf::from("/a")]);
    assert_eq!(loaded.config.data_dir, path.with_file_name("d"));
    assert_eq!(loaded.config.socket, env::current_dir().unwrap().join("s"));
}

#[test]
fn each_mistake_is_reported_with_its_location_and_the_nearest_key() {
    let preset =
        "models_dirs = ['/m']\n[[presets]]\nname = 'p'\nheight = 512\nbatch = 1\ntokens = 75\n";
    for (text, variables, told) in [
        (
            "\nmodel_dir = 1\nqouta = 'x'",
            &[][..],
            "sdtrtd.toml:2: unknown key `model_dir`; did you mean `models_dirs`?\n\
             sdtrtd.toml:3: unknown key `qouta`; did you mean `quota`?",
        ),
        ("x = 1", &[], "sdtrtd.toml:1: unknown key `x`; the documented sdtrtd.toml lists all keys"),
        ("models_dirs = ['/m']\nquota = ", &[], "sdtrtd.toml:2: "),
        ("models_dirs = ['/m']\nquota = '5 apples'", &[], "sdtrtd.toml:2: invalid size '5 apples'"),
        ("models_dirs = ['/m']\n\nidle_seconds = 0", &[], "sdtrtd.toml:3: idle_seconds = 0: "),
        (
            &format!("{preset}widht = 512"),
            &[],
            "sdtrtd.toml:7: unknown key `widht`; did you mean `width`?",
        ),
        (&format!("{preset}width = 500"), &[], "sdtrtd.toml:7: presets.p.width.min = 500: "),
        (
            "models_dirs = ['/m']\n[[rules]]\narchitecture = 'sd7'",
            &[],
            "sdtrtd.toml:2: rules.architecture = \"sd7\": expected one of these",
        ),
        ("", &[("SDTRT_MIN_FREE", "much")], "SDTRT_MIN_FREE: invalid size 'much'"),
        ("", &[("SDTRT_QOUTA", "1 GB")], "SDTRT_QOUTA: unknown key; did you mean SDTRT_QUOTA?"),
        (
            "models_dirs = ['/m']",
            &[("SDTRT_IDLE_SECONDS", "0")],
            "SDTRT_IDLE_SECONDS: idle_seconds",
        ),
        ("", &[], "models_dirs = []: set at least one folder"),
    ] {
        let error = loaded(text, variables).expect_err(text);
        assert!(error.starts_with(told), "{text}\n{error}");
    }
}

#[test]
fn what_is_no_file_is_refused_and_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let pipe = dir.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for path in [&socket, &pipe, dir.path(), Path::new("/dev/zero")] {
        let error = load(Some(path), []).unwrap_err().to_string();
        assert!(
            error.contains("no regular file") && error.contains(&*path.to_string_lossy()),
            "{error}"
        );
    }
    load(Some(Path::new("/dev/null")), []).unwrap();
}
