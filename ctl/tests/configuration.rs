//! The configuration from the command line; no daemon is needed.

#![allow(clippy::unwrap_used, reason = "a test stops where its surroundings fail")]

mod common;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use common::{Outcome, ctl, run, utf8, write_script};
use serde_json::Value;
use tempfile::TempDir;

/// A home with a configuration.
struct Home(TempDir);

impl Home {
    fn new(text: &str) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        fs::create_dir(home.0.path().join("sdtrt")).unwrap();
        fs::write(home.file(), text).unwrap();
        home
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("sdtrt/sdtrtd.toml")
    }

    fn ctl(&self, args: &[&str], variables: &[(&str, &str)]) -> Outcome {
        let mut command = ctl(args);
        command.env("XDG_CONFIG_HOME", self.0.path()).env("HOME", self.0.path());
        run(command.envs(variables.iter().copied()))
    }

    /// An editor that does this to the file that it is given.
    fn editor(&self, body: &str) -> String {
        let path = self.0.path().join("editor");
        write_script(&path, body);
        utf8(&path).to_owned()
    }
}

#[test]
fn check_names_the_line_and_the_nearest_key() {
    let good = Home::new("models_dirs = ['/m']");
    let checked = good.ctl(&["config", "check"], &[]);
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""));
    assert!(checked.stdout.contains("no mistakes"), "{checked:?}");

    let bad = Home::new("models_dirs = ['/m']\nqouta = '1 GB'");
    let checked = bad.ctl(&["config", "check"], &[]);
    let told = format!("{}:2: unknown key `qouta`; did you mean `quota`?", utf8(&bad.file()));
    assert_eq!((checked.code, checked.stdout.as_str()), (Some(1), ""));
    assert!(checked.stderr.contains(&told), "{checked:?}");
    let checked = bad.ctl(&["config", "check", "--json"], &[]);
    assert_eq!(serde_json::from_str::<Value>(&checked.stdout).unwrap()["mistakes"][0], told);
}

#[test]
fn show_tells_file_and_variables_apart() {
    let home = Home::new("models_dirs = ['m']\nquota = '1 GB'");
    let shown = home.ctl(&["config", "show", "--json"], &[("SDTRT_QUOTA", "2 GB")]);
    let entries: Vec<Value> = serde_json::from_str(&shown.stdout).unwrap();
    let of = |key: &str| entries.iter().find(|entry| entry["key"] == key).unwrap();
    assert_eq!(of("quota")["value"], "2 GB");
    assert_eq!(of("quota")["origin"], "SDTRT_QUOTA");
    assert_eq!(of("models_dirs")["value"][0], utf8(&home.file().with_file_name("m")));
    assert_eq!(of("build")["origin"], "default");
}

#[test]
fn only_what_is_well_replaces_the_file() {
    let home = Home::new("models_dirs = ['/m']\n");
    let edit = |body: &str| home.ctl(&["config", "edit"], &[("VISUAL", &home.editor(body))]);
    let text = || fs::read_to_string(home.file()).unwrap();

    let changed = edit("echo \"quota = '1 GB'\" >> \"$1\"");
    assert_eq!(changed.code, Some(0), "{changed:?}");
    assert!(text().ends_with("quota = '1 GB'\n"), "{}", text());

    let before = text();
    let broken = edit("echo 'qouta = 1' >> \"$1\"");
    assert_eq!(broken.code, Some(1), "{broken:?}");
    assert!(broken.stderr.contains(":3: unknown key `qouta`"), "{broken:?}");
    assert_eq!(text(), before);
    let kept = broken.stderr.trim_end().rsplit(' ').next().unwrap();
    assert!(fs::read_to_string(kept).unwrap().contains("qouta"), "{broken:?}");
    fs::remove_file(kept).unwrap();

    assert!(edit("true").stdout.contains("no changes"));
    assert_eq!(edit("exit 3").code, Some(1));
    assert_eq!(text(), before);

    fs::remove_file(home.file()).unwrap();
    let anew = edit("sed -i '0,/^#models_dirs.*/s||models_dirs = [\"/n\"]|' \"$1\"");
    assert_eq!(anew.code, Some(0), "{anew:?}");
    assert!(text().contains("\nmodels_dirs = [\"/n\"]\n"), "{}", text());
    assert!(text().contains("\n#quota = "), "the rest is documented");
}

#[test]
fn doctor_and_snapshot_need_no_daemon() {
    let home =
        Home::new("models_dirs = ['/nonexistent/models']\nwebui_url = 'http://me:secret@h:1'");
    let found = home.ctl(&["doctor", "--json"], &[]);
    let findings: Vec<Value> = serde_json::from_str(&found.stdout).unwrap();
    let of = |topic: &str| findings.iter().find(|finding| finding["topic"] == topic).unwrap();
    assert_eq!(of("configuration")["verdict"], "ok", "{found:?}");
    assert_eq!(of("models folder")["verdict"], "warning");
    assert_eq!(of("sdtrtd")["verdict"], "warning");
    assert!(findings.iter().all(|f| f["verdict"] == "ok" || f["found"].as_str().unwrap() != ""));

    let archive = home.0.path().join("report.zip");
    let written = home.ctl(&["snapshot", "--output", utf8(&archive), "--json"], &[]);
    assert_eq!(written.code, Some(0), "{written:?}");
    let mut zip = zip::ZipArchive::new(fs::File::open(&archive).unwrap()).unwrap();
    let mut held = String::new();
    std::io::Read::read_to_string(&mut zip.by_name("sdtrtd.toml").unwrap(), &mut held).unwrap();
    assert!(held.contains("http://…@h:1") && !held.contains("secret"), "{held}");
    assert!(zip.by_name("doctor.json").is_ok() && zip.by_name("no-daemon.txt").is_ok());
    assert_eq!(fs::metadata(&archive).unwrap().permissions().mode() & 0o077, 0);
}

#[test]
fn each_shell_gets_a_script_that_asks_this_program() {
    for shell in ["bash", "zsh", "fish"] {
        let printed = run(&mut ctl(&["completions", shell]));
        assert!(printed.stdout.contains("COMPLETE"), "{printed:?}");
    }
    let entry = common::entry("/m/photo.safetensors", protocol::State::Ready, None);
    let daemon = common::FakeDaemon::replying([protocol::Reply::List(protocol::List(vec![entry]))]);
    let mut asked = ctl(&["--", "sdtrtctl", "show", "ph"]);
    asked.env("COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", "2").env("_CLAP_IFS", "\n");
    let offered = run(asked.env("SDTRT_SOCKET", daemon.socket()));
    assert_eq!(offered.stdout.trim(), "photo.safetensors", "{offered:?}");
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(run(&mut ctl(&["manual", "--output", utf8(dir.path())])).code, Some(0));
    let page = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    assert!(page("sdtrtctl.1").contains("sdtrtctl"));
    assert!(page("sdtrtctl-config-edit.1").contains("VISUAL"));
    assert!(!Path::new(&dir.path().join("sdtrtctl-manual.1")).exists(), "it is hidden");
}
