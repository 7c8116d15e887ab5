//! The index of the web UI's NVIDIA extension is updated when checkpoints move.
#![allow(clippy::unwrap_used)]

use std::fs::{self, File};

use end_to_end::{Daemon, Workplace};
use serde_json::{Value, json};

const ENGINE: &str = "a_0123abcd_cc89_sample=1x4x64x64.trt";

/// A web UI's models folder with a checkpoint and the extension's engine for it.
struct WebUi {
    w: Workplace,
    listed: String,
}

impl WebUi {
    fn new() -> Self {
        let w = Workplace::new();
        w.write_checkpoint("Stable-diffusion/a.safetensors", 1);
        w.write_checkpoint("Stable-diffusion/other.safetensors", 2);
        fs::create_dir(w.model("Unet-trt")).unwrap();
        fs::write(w.model(format!("Unet-trt/{ENGINE}")), "").unwrap();
        let entry = json!({"filepath": ENGINE, "config": {
            "profile": {"sample": [[1, 4, 64, 64]]}, "static_shapes": true, "fp32": false,
            "inpaint": false, "refit": true, "lora": false, "vram": 0, "unet_hidden_dim": 4
        }});
        let listed = json!({"cc89": {"a": [entry]}}).to_string();
        let webui = Self { w, listed };
        webui.write(&webui.listed);
        webui
    }

    fn write(&self, text: &str) {
        fs::write(self.w.model("Unet-trt/model.json"), text).unwrap();
    }

    fn read(&self) -> String {
        fs::read_to_string(self.w.model("Unet-trt/model.json")).unwrap()
    }

    /// The names that an engine is listed under.
    fn names(&self) -> Vec<String> {
        let index: Value = serde_json::from_str(&self.read()).unwrap();
        index["cc89"].as_object().unwrap().keys().cloned().collect()
    }

    /// Starts the daemon, which updates the index or only reads it.
    fn daemon(&self, keep: bool) -> Daemon {
        let config = self.w.path("sdtrtd.toml");
        fs::write(&config, format!("keep_model_json = {keep}")).unwrap();
        let nothing_to_build_with = self.w.path("no-runtime");
        let arguments = ["--config", config.to_str().unwrap(), "--tensorrt-dir"];
        self.w.daemon_with(&[&arguments[..], &[nothing_to_build_with.to_str().unwrap()]].concat())
    }

    /// Returns the entry of the only index in `webui status`, once all files are identified.
    fn status(&self) -> Value {
        self.w.settled_list();
        let mut indexes = self.w.ctl(&["webui", "status", "--json"]).json();
        indexes[0].take()
    }
}

#[test]
fn engines_of_the_extension_follow_their_checkpoint() {
    let webui = WebUi::new();
    let daemon = webui.daemon(true);
    assert_eq!(webui.status()["changes"], json!([]));
    assert_eq!(webui.read(), webui.listed, "not written while it is correct");

    let moved = webui.w.model("Stable-diffusion/sub/b.safetensors");
    fs::create_dir(moved.parent().unwrap()).unwrap();
    fs::rename(webui.w.model("Stable-diffusion/a.safetensors"), &moved).unwrap();
    webui.status();
    assert_eq!(webui.names(), ["b", "sub_b"]);
    let backup = fs::read_to_string(webui.w.model("Unet-trt/model.json.before-sdtrt")).unwrap();
    assert_eq!(backup, webui.listed);

    webui.write(&webui.listed);
    webui.status();
    assert_eq!(webui.names(), ["b", "sub_b"], "an open web UI wrote its old names");

    webui.write("{\"cc89\": ");
    let broken = webui.status();
    assert!(broken["problem"].as_str().unwrap().contains("left alone"), "{broken}");
    assert_eq!(webui.read(), "{\"cc89\": ");

    assert_eq!(daemon.stop(), Some(0));
    fs::remove_dir_all(webui.w.data().join("learned")).unwrap();
    webui.write(&webui.listed);
    let _daemon = webui.daemon(true);
    webui.status();
    assert_eq!(webui.names(), ["b", "sub_b"], "the engine's checkpoint is still known");

    fs::remove_file(webui.w.model(format!("Unet-trt/{ENGINE}"))).unwrap();
    webui.status();
    assert_eq!(webui.read().trim(), "{}");
}

#[test]
fn nothing_is_written_unless_enabled() {
    let webui = WebUi::new();
    let _daemon = webui.daemon(false);
    webui.status();
    let renamed = webui.w.model("Stable-diffusion/b.safetensors");
    fs::rename(webui.w.model("Stable-diffusion/a.safetensors"), renamed).unwrap();
    let status = webui.status();
    assert_eq!(status["changes"], json!([format!("{ENGINE}: a → b")]));
    assert_eq!((status["kept"].as_bool(), webui.read()), (Some(false), webui.listed.clone()));
}

#[test]
fn a_name_that_an_unread_file_may_share_is_ambiguous() {
    let webui = WebUi::new();
    let one = webui.w.model("Stable-diffusion/one/a.safetensors");
    fs::create_dir(one.parent().unwrap()).unwrap();
    fs::rename(webui.w.model("Stable-diffusion/a.safetensors"), &one).unwrap();
    let other = webui.w.write_checkpoint("Stable-diffusion/two/a.safetensors", 3);
    let being_written = File::options().append(true).open(&other).unwrap();
    let _daemon = webui.daemon(true);
    webui.w.watch().until("one is known", |seen| {
        seen.at(&one).is_some_and(|entry| entry.weights_id.is_some())
    });
    assert_eq!(webui.w.ctl(&["webui", "status", "--json"]).json(), json!([]));

    drop(being_written);
    webui.status();
    fs::rename(&one, one.with_file_name("b.safetensors")).unwrap();
    webui.status();
    assert_eq!(webui.names(), ["a"], "it may belong to either");
}
