use std::fs;

use super::*;
use crate::{Range, StoreMode};

fn read(text: &str) -> Result<Config, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sdtrtd.toml");
    fs::write(&path, text).unwrap();
    crate::load(Some(&path), [])
        .and_then(|loaded| loaded.check(&["sd1".to_owned()]).map(|()| loaded.config))
        .map_err(|e| e.to_string())
}

#[test]
fn every_key_is_read() {
    let config = read(
        r#"
        models_dirs = ["/m", "/n"]
        data_dir = "/d"
        socket = "/s"
        tensorrt_dir = "/t"
        compute_capabilities = ["8.9", "12.0"]
        engines = "shared"
        settle_seconds = 1.5
        rescan_seconds = 60
        ignore = ["/old/", "!.models/"]
        quota = "50 GB"
        min_free = "1.5GiB"
        orphan_days = 0.5
        fixed_engines = 3
        keep_model_json = true
        build = "always"
        build_hours = "23:00-7:00"
        on_battery = true
        idle_seconds = 5
        prefer = "engine"
        webui_url = "http://127.0.0.1:7860"
        store = { url = "s3://bucket/sdtrt", mode = "read-write", key = "/k/mine.key" }
        on_ready = ["notify-send", "{name} is {state}"]
        on_failed = ["mail", "{reason}"]
        notifications = false
        admins = ["alice", "1000"]
        metrics = "[::1]:9101"
        [[webuis]]
        path = "/w"
        models_dirs = ["/n", "/w/models"]
        [[presets]]
        name = "small"
        width = 256
        height = 256
        batch = 1
        tokens = 75
        controlnet = true
        [[rules]]
        architecture = "sd1"
        folder = "tests"
        name = "*"
        presets = ["small"]
        engines = "baked"
        "#,
    );
    let expected = Config {
        // The web UI's models folders are added to the configured ones.
        models_dirs: vec!["/m".into(), "/n".into(), "/w/models".into()],
        data_dir: "/d".into(),
        socket: "/s".into(),
        tensorrt_dir: Some("/t".into()),
        compute_capabilities: vec!["8.9".parse().unwrap(), "12.0".parse().unwrap()],
        engines: Some(EngineKind::Shared),
        settle_seconds: 1.5,
        rescan_seconds: 60.0,
        ignore: vec!["/old/".into(), "!.models/".into()],
        quota: Some(ByteSize::b(50_000_000_000)),
        min_free: ByteSize::b(1_610_612_736),
        orphan_days: 0.5,
        fixed_engines: 3,
        keep_model_json: true,
        build: BuildWhen::Always,
        build_hours: Some("23:00-07:00".parse().unwrap()),
        on_battery: true,
        idle_seconds: 5.0,
        prefer: Prefer::Engine,
        webui_url: Some("http://127.0.0.1:7860".into()),
        store: Some(SharedStore {
            url: "s3://bucket/sdtrt".to_owned(),
            mode: StoreMode::ReadWrite,
            trusted_keys: Vec::new(),
            key: Some("/k/mine.key".into()),
        }),
        webuis: vec![WebUi {
            path: "/w".into(),
            models_dirs: vec!["/n".into(), "/w/models".into()],
        }],
        on_ready: vec!["notify-send".into(), "{name} is {state}".into()],
        on_failed: vec!["mail".into(), "{reason}".into()],
        notifications: false,
        admins: vec!["alice".into(), "1000".into()],
        metrics: Some("[::1]:9101".parse().unwrap()),
        presets: vec![Preset {
            name: "small".into(),
            width: Range { min: 256, opt: 256, max: 256 },
            height: Range { min: 256, opt: 256, max: 256 },
            batch: Range { min: 1, opt: 1, max: 1 },
            tokens: Range { min: 75, opt: 75, max: 75 },
            controlnet: true,
        }],
        rules: vec![Rule {
            architecture: Some("sd1".into()),
            folder: Some("tests".into()),
            name: Some("*".into()),
            presets: vec!["small".into()],
            engines: Some(EngineKind::Baked),
        }],
    };
    assert_eq!(config, Ok(expected));
}

#[test]
fn invalid_values_are_refused_by_key() {
    for (text, said) in [
        ("models_dirs = []", "models_dirs"),
        ("models_dirs = ['/m']\nignore = ['ok/', '{a']", "ignore = {a: expected a pattern"),
        ("models_dirs = ['/m']\nmodel_dir = 1", "unknown key `model_dir`"),
        ("models_dirs = ['/m']\ncompute_capabilities = ['sm_89']", "MAJOR.MINOR"),
        ("models_dirs = ['/m']\nsettle_seconds = -1", "settle_seconds"),
        ("models_dirs = ['/m']\nrescan_seconds = nan", "rescan_seconds"),
        ("models_dirs = ['/m']\nquota = '50 apples'", "50 GB"),
        ("models_dirs = ['/m']\nmin_free = '-1 GB'", "50 GB"),
        ("models_dirs = ['/m']\norphan_days = -1", "orphan_days"),
        ("models_dirs = ['/m']\nfixed_engines = 65", "from 0 to 64"),
        ("models_dirs = ['/m']\nbuild = 'sometimes'", "expected when-idle, always or never"),
        ("models_dirs = ['/m']\nengines = 'big'", "expected shared or baked"),
        ("models_dirs = ['/m']\nidle_seconds = 0", "idle_seconds"),
        ("models_dirs = ['/m']\nprefer = 'torch'", "expected fastest or engine"),
        ("models_dirs = ['/m']\nwebui_url = '127.0.0.1:7860'", "http://"),
        ("models_dirs = ['/m']\nmetrics = '0.0.0.0:9101'", "only this machine"),
        ("models_dirs = [", "sdtrtd.toml"),
    ] {
        let error = read(text).expect_err(text);
        assert!(error.contains(said), "{text}: {error}");
    }
}
