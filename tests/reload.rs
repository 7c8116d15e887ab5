//! A changed configuration takes effect without a restart.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

use std::{
    fs,
    path::Path,
    process::{Child, Command},
};

use end_to_end::Workplace;

/// A daemon whose models folders come only from a file; killed when dropped.
struct Configured(Child);

impl Configured {
    fn start(w: &Workplace, file: &Path) -> Self {
        let mut command = Command::new(w.sdtrtd().get_program());
        command.env_clear().env("HOME", w.path("")).arg("--config").arg(file);
        command.arg("--data-dir").arg(w.data()).arg("--socket").arg(w.socket());
        command.arg("--tensorrt-dir").arg(w.path("no-runtime")).args(["--settle-seconds", "0.2"]);
        let started = Self(command.spawn().unwrap());
        while w.ctl(&["status"]).code != 0 {}
        started
    }
}

impl Drop for Configured {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn valid_changes_are_applied_and_an_invalid_file_changes_nothing() {
    let w = Workplace::new();
    let more = w.path("more");
    fs::create_dir(&more).unwrap();
    let file = w.path("sdtrtd.toml");
    let write = |text: &str| {
        let both = format!("models_dirs = [{:?}, {more:?}]\n", w.models());
        fs::write(&file, both + text).unwrap();
    };
    write("quota = '1 GB'");
    let _daemon = Configured::start(&w, &file);
    let reload = || w.ctl(&["reload", "--json"]);
    assert_eq!(reload().json()["applied"].as_array().unwrap().len(), 0);

    write("quota = '2 GB'\nwebui_url = 'http://127.0.0.1:1'");
    let told = reload().json();
    assert_eq!(told["applied"], serde_json::json!(["quota"]));
    assert_eq!(told["needs_restart"], serde_json::json!(["webui_url"]));
    assert_eq!(w.ctl(&["disk", "--json"]).json()["quota"], 2_000_000_000_u64);

    write("qouta = '3 GB'");
    let refused = reload();
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains(":2: unknown key `qouta`"), "{refused:?}");
    assert_eq!(w.ctl(&["disk", "--json"]).json()["quota"], 2_000_000_000_u64);

    // An ignored folder's checkpoints disappear, as if deleted, and return.
    w.write_checkpoint("old/a.safetensors", 1);
    assert_eq!(w.settled_list().len(), 1);
    for (ignore, listed) in [("ignore = ['/old/']", 0), ("ignore = ['/old/', '!old/']", 1)] {
        write(ignore);
        assert!(reload().json()["applied"].as_array().unwrap().contains(&"ignore".into()));
        assert_eq!(w.settled_list().len(), listed, "{ignore}");
    }
    write("ignore = ['{old']");
    assert!(reload().stderr.contains("gitignore"));
    write("quota = '2 GB'");
    reload();
    fs::remove_dir_all(w.model("old")).unwrap();

    // A removed folder: its checkpoints disappear, and the daemon no longer watches it.
    w.write_checkpoint(more.join("b.safetensors"), 2);
    assert_eq!(w.settled_list().len(), 1);
    fs::write(&file, format!("models_dirs = [{:?}]", w.models())).unwrap();
    assert_eq!(reload().json()["applied"], serde_json::json!(["models_dirs", "quota"]));
    assert_eq!(w.settled_list().len(), 0);
}
