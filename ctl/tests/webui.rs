//! The extension into a web UI and out again.
#![allow(clippy::unwrap_used, reason = "a test stops where its surroundings fail")]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
};

use common::{Outcome, ctl, run, utf8};
use config::runtime::{TENSORRT_RTX, Wheel};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The web UI's own files, as far as they are looked at.
struct WebUi {
    dir: TempDir,
}

impl WebUi {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("ui/modules")).unwrap();
        fs::write(dir.path().join("ui/modules/sd_unet.py"), "").unwrap();
        let flags = "export COMMANDLINE_ARGS=\"--api --ckpt-dir /srv/models\"\n";
        fs::write(dir.path().join("ui/webui-user.sh"), flags).unwrap();
        fs::write(dir.path().join("sdtrtd.toml"), "# mine\ndata_dir = \"data\"\n").unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    fn run(&self, what: &str, more: &[&str]) -> Outcome {
        let (ui, config) = (self.path("ui"), self.path("sdtrtd.toml"));
        let arguments = ["webui", what, utf8(&ui), "--config", utf8(&config), "--json"];
        let no_daemon = self.path("no-daemon");
        run(ctl(&arguments).arg("--socket").arg(no_daemon).args(more))
    }

    fn install(&self) -> Outcome {
        let extension = Path::new(env!("CARGO_MANIFEST_DIR")).join("../webui");
        self.run("install", &["--extension", utf8(&extension)])
    }
}

#[test]
fn installed_and_uninstalled() {
    let webui = WebUi::new();
    let folder = webui.path("ui/extensions/sdtrt");
    // A second time changes nothing.
    for _ in 0..2 {
        let outcome = webui.install();
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
        let told: Value = serde_json::from_str(&outcome.stdout).unwrap();
        let models = webui.path("ui/models/Stable-diffusion");
        assert_eq!(told["models_dirs"], json!(["/srv/models", utf8(&models)]));
        for part in ["install.py", "scripts/sdtrt_engines.py", "sdtrt/unet.py"] {
            assert!(folder.join(part).is_file(), "{part}");
        }
        let note: Value =
            serde_json::from_slice(&fs::read(folder.join("sdtrt.json")).unwrap()).unwrap();
        assert_eq!(note, json!({ "data_dir": utf8(&webui.path("data")) }));
    }
    let text = fs::read_to_string(webui.path("sdtrtd.toml")).unwrap();
    assert_eq!(text.matches("[[webuis]]").count(), 1, "{text}");

    let outcome = webui.run("uninstall", &[]);
    assert_eq!(outcome.stdout, "{\"removed\":true}\n", "{}", outcome.stderr);
    assert!(!folder.exists());
    let text = fs::read_to_string(webui.path("sdtrtd.toml")).unwrap();
    assert_eq!(text, "# mine\ndata_dir = \"data\"\n");
}

#[test]
fn comfyui_gets_a_node() {
    let webui = WebUi::new();
    fs::remove_dir_all(webui.path("ui/modules")).unwrap();
    fs::create_dir_all(webui.path("ui/comfy")).unwrap();
    fs::write(webui.path("ui/comfy/model_patcher.py"), "").unwrap();
    let more = "shared:\n  base_path: /srv\n  checkpoints: sd\n";
    fs::write(webui.path("ui/extra_model_paths.yaml"), more).unwrap();
    let folder = webui.path("ui/custom_nodes/sdtrt");
    for _ in 0..2 {
        let outcome = webui.install();
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
        let told: Value = serde_json::from_str(&outcome.stdout).unwrap();
        let own = ["checkpoints", "diffusion_models", "unet"];
        let own = own.map(|name| utf8(&webui.path("ui/models").join(name)).to_owned());
        assert_eq!(told["models_dirs"], json!([own[0], own[1], own[2], "/srv/sd"]));
        for part in ["__init__.py", "requirements.txt", "sdtrt/comfyui/node.py", "sdtrt.json"] {
            assert!(folder.join(part).is_file(), "{part}");
        }
        assert!(folder.join("example_workflows").is_dir());
    }
    fs::create_dir(folder.join("__pycache__")).unwrap();
    let outcome = webui.run("uninstall", &[]);
    assert_eq!(outcome.stdout, "{\"removed\":true}\n", "{}", outcome.stderr);
    assert!(!folder.exists());
}

#[test]
fn forges_family_gets_the_extension() {
    let webui = WebUi::new();
    let patchers =
        [("Forge", "backend/patcher/base.py"), ("reForge", "ldm_patched/modules/model_patcher.py")];
    for (name, file, version) in [
        (patchers[0].0, patchers[0].1, "2.0.1v1.10.1"),
        ("Forge Neo", patchers[0].1, "neo"),
        (patchers[1].0, patchers[1].1, "1.0.0v2"),
    ] {
        for (file, text) in [(file, ""), ("modules_forge/forge_version.py", version)] {
            let file = webui.path("ui").join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let outcome = webui.install();
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{name}");
        let told: Value = serde_json::from_str(&outcome.stdout).unwrap();
        assert_eq!(told["front_end"], name);
        let script = webui.path("ui/extensions/sdtrt/scripts/sdtrt_engines.py");
        assert!(script.is_file(), "{name}");
        let outcome = webui.run("uninstall", &[]);
        assert_eq!(outcome.stdout, "{\"removed\":true}\n", "{name}: {}", outcome.stderr);
        fs::remove_dir_all(webui.path("ui/backend")).ok();
    }
}

#[test]
fn the_web_ui_gets_the_tensorrt_that_engines_are_built_with() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../webui/requirements.txt");
    let text = fs::read_to_string(file).unwrap();
    let Wheel { package, version, sha256, .. } = TENSORRT_RTX;
    assert!(text.contains(&format!("{package}=={version}")) && text.contains(sha256), "{text}");
    assert!(text.contains(&format!("tensorrt-rtx-cu12-bindings=={version}")), "{text}");
}

#[test]
fn what_is_not_ours_stays() {
    let webui = WebUi::new();
    let theirs = webui.path("ui/extensions/sdtrt/scripts");
    fs::create_dir_all(&theirs).unwrap();
    for what in ["install", "uninstall"] {
        let outcome = if what == "install" { webui.install() } else { webui.run(what, &[]) };
        assert_eq!(outcome.code, Some(1));
        assert!(outcome.stderr.contains("already exists"), "{}", outcome.stderr);
    }
    assert!(theirs.is_dir());
    assert!(!theirs.with_file_name("install.py").exists(), "all or nothing");

    fs::remove_file(webui.path("ui/modules/sd_unet.py")).unwrap();
    let outcome = webui.install();
    assert!(outcome.stderr.contains("is not the folder of AUTOMATIC1111"), "{}", outcome.stderr);
}
