//! Which sizes engines are built for, and which checkpoints get none.
#![allow(clippy::unwrap_used)]

use std::fs;

use end_to_end::{Answer, Workplace};
use protocol::State;
use serde_json::{Value, json};

const CONFIG: &str = "
[[presets]]
name = 'wide'
width = 1024
height = 256
batch = 1
tokens = 75

[[rules]]
folder = 'off'

[[rules]]
name = '*wide*'
presets = ['default', 'wide']
";

/// The passes of the first checkpoint.
fn passes(answer: &Answer) -> Vec<Value> {
    answer.json()[0]["passes"].as_array().unwrap().clone()
}

#[test]
#[ignore = "needs TensorRT-RTX: cargo xtask test"]
fn one_baked_engine_has_the_presets_of_its_rules() {
    let w = Workplace::new();
    let config = w.path("sdtrtd.toml");
    fs::write(&config, CONFIG).unwrap();
    let path = w.write_checkpoint("off/a.safetensors", 1);
    let _daemon = w.building_daemon_with(&["--config", config.to_str().unwrap()]);
    let off = w.only();
    assert_eq!((off.state, off.engines.len()), (State::Off, 0), "{off:#?}");
    let unserved = w.ctl(&["check", "512x512", "--json"]);
    assert_eq!(unserved.code, 1);
    assert!(passes(&unserved)[0]["problem"].as_str().unwrap().contains("rule"), "{unserved:?}");

    fs::rename(path, w.model("a wide one.safetensors")).unwrap();
    w.wait();
    let ready = w.only();
    assert_eq!(ready.state, State::Ready, "{ready:#?}");
    assert_eq!(ready.engines.len(), 1);
    assert_eq!(ready.engines[0].presets, ["default", "wide"]);
    for (size, profile) in [("512x768", 0), ("1024x256", 1)] {
        let served = w.ctl(&["check", size, "a wide one", "--json"]);
        assert_eq!(served.code, 0, "{served:?}");
        let pass = &passes(&served)[0];
        assert_eq!(pass["engine"], json!(ready.engines[0].key), "{pass}");
        assert_eq!(pass["profile"], profile, "{pass}");
    }
    let hires = w.ctl(&["check", "512x512", "--hires", "2", "--json"]);
    assert_eq!(hires.code, 1, "{hires:?}");
    let [base, second] = &passes(&hires)[..] else { panic!("{hires:?}") };
    assert!(base["problem"].is_null(), "{base}");
    let problem = second["problem"].as_str().unwrap();
    assert!(problem.contains("default: width 1024 is over 768"), "{problem}");
    assert!(problem.contains("wide: height 1024 is over 256"), "{problem}");
}
