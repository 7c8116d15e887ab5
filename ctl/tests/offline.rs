//! What needs no daemon.

#![allow(clippy::unwrap_used, reason = "a test stops where its surroundings fail")]

mod common;

use std::{fs, path::Path};

use common::{FakeDaemon, Outcome, alone, ctl, run, status, utf8, write_script};
use config::runtime::{ONNX_RUNTIME, TENSORRT_RTX, Wheel};
use goldens::Manifest;
use protocol::{Failure, Reply, Request};
use serde_json::Value;

#[test]
fn a_golden_is_identified_and_exported() {
    let temp = tempfile::tempdir().unwrap();
    let models = temp.path().canonicalize().unwrap().join("models");
    fs::create_dir(&models).unwrap();
    let golden = models.join("golden sd1.safetensors");
    Manifest::load("sd1").unwrap().write_checkpoint(&golden).unwrap();

    let human = alone(&["identify", utf8(&golden)]);
    assert_eq!((human.code, human.stderr.as_str()), (Some(0), ""));
    let identity: Value =
        serde_json::from_str(&alone(&["identify", utf8(&golden), "--json"]).stdout).unwrap();
    assert_eq!(identity["architecture"], "sd1");
    assert_eq!(identity["remarks"], serde_json::json!([]));
    for field in ["weights_id", "unet_id"] {
        let id = identity[field].as_str().unwrap();
        assert_eq!(id.len(), 64);
        assert!(human.stdout.contains(id), "{}", human.stdout);
    }

    let out = temp.path().join("new/out");
    let weights = out.join("golden sd1.safetensors");
    let export = |options: &[&str]| {
        let outcome = run(ctl(&["export", utf8(&golden), "--output", utf8(&out)]).args(options));
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{options:?}");
        outcome.stdout
    };
    for (precision, rerun) in [("fp16", false), ("fp32", true), ("fp16", true)] {
        let told: Value =
            serde_json::from_str(&export(&["--precision", precision, "--json"])).unwrap();
        let onnx = out.join("unet.onnx");
        assert_eq!(told["onnx"], utf8(&onnx));
        assert_eq!(told["precision"], precision);
        assert_eq!(told["bytes"], fs::metadata(&onnx).unwrap().len());
        assert_eq!(told["weights"], utf8(&weights));
        assert_eq!(told["storage"] == "existing", rerun, "{told}");
        assert!(fs::symlink_metadata(&weights).unwrap().is_file());
        assert!(fs::read(&weights).unwrap() == fs::read(&golden).unwrap());
        assert_eq!(fs::read_dir(&out).unwrap().count(), 2);
    }
    fs::remove_file(&weights).unwrap();
    assert!(export(&["--link"]).contains("a link to the checkpoint"));
    assert_eq!(fs::read_link(&weights).unwrap(), golden);
    assert_eq!(fs::read_dir(&out).unwrap().count(), 2);
    let both = ["export", utf8(&golden), "--output", utf8(&out), "--link", "--weights-as-inputs"];
    assert_eq!(alone(&both).code, Some(2));

    // A binding stays only beside the graph that it describes.
    let told: Value = serde_json::from_str(&export(&["--weights-as-inputs", "--json"])).unwrap();
    let binding = out.join("unet.binding.json");
    assert_eq!((&told["weights"], &told["storage"]), (&Value::Null, &Value::Null));
    assert_eq!(told["binding"], utf8(&binding));
    let binding: Value = serde_json::from_slice(&fs::read(&binding).unwrap()).unwrap();
    assert_eq!(
        (&binding["version"], &binding["inputs"][0]["layout"]),
        (&1.into(), &"plain".into())
    );
    assert!(export(&[]).contains("a copy"));
    assert!(!out.join("unet.binding.json").exists());
    // Beside the checkpoint itself.
    assert_eq!(alone(&["export", utf8(&golden), "--output", utf8(&models)]).code, Some(0));
    assert!(fs::symlink_metadata(&golden).unwrap().is_file());
}

#[test]
fn files_are_called_what_others_call_them() {
    let temp = tempfile::tempdir().unwrap();
    let golden = temp.path().join("golden.safetensors");
    let torch = temp.path().join("golden.ckpt");
    for path in [&golden, &torch] {
        Manifest::load("sd1").unwrap().write_checkpoint(path).unwrap();
    }
    let content = titled(&golden);
    let outcome = alone(&["identify", "--hashes", "--json", utf8(&golden), utf8(&torch)]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    let [first, second]: [Value; 2] = outcome
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    assert_eq!(first["weights_id"], second["weights_id"]);
    let known = &first["known_as"];
    let text = |name: &str| known[name].as_str().unwrap();
    assert_eq!((text("title"), text("stated_sha256")), ("A red cat", "0x00ff"));
    assert_eq!(text("blake3"), blake3::hash(&content).to_hex().as_str());
    assert_eq!(text("autov2"), &text("sha256")[..10]);
    assert_eq!((text("autov1").len(), text("autov3").len(), text("crc32").len()), (8, 12, 8));
    assert_eq!(second["known_as"]["autov3"], Value::Null);

    let human = alone(&["identify", "--hashes", utf8(&golden), utf8(&torch)]).stdout;
    for told in [utf8(&torch), &format!("blake3:{}", text("blake3")), "title          A red cat"] {
        assert!(human.contains(told), "{told} in {human}");
    }
    let absent = temp.path().join("absent");
    let outcome = alone(&["identify", utf8(&absent), utf8(&golden)]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stdout.contains("weights id") && outcome.stderr.contains(utf8(&absent)));
}

/// However many are read at a time.
#[test]
fn many_files_are_answered_in_their_order() {
    let temp = tempfile::tempdir().unwrap();
    let originals = [1, 2].map(|seed| {
        let path = temp.path().join(format!("seed {seed}.safetensors"));
        Manifest::load("sd1").unwrap().reseed(seed).write_checkpoint(&path).unwrap();
        path
    });
    let name = |number: usize| temp.path().join(format!("{number}.safetensors"));
    let mut files: Vec<_> = (0..150).map(name).collect();
    for (number, file) in files.iter().enumerate() {
        // One after two of the other.
        fs::hard_link(&originals[usize::from(number % 3 == 0)], file).unwrap();
    }
    files.insert(100, temp.path().join("absent"));
    let identify = |options: &[&str]| {
        let outcome = run(ctl(&["identify"]).args(options).args(&files));
        assert_eq!(outcome.code, Some(1));
        assert!(outcome.stderr.contains("absent"), "{}", outcome.stderr);
        outcome.stdout
    };
    let told = identify(&["--json"]);
    let ids = told.lines().map(|line| {
        let answer: Value = serde_json::from_str(line).unwrap();
        answer["weights_id"].as_str().unwrap().to_owned()
    });
    let ids: Vec<_> = ids.collect();
    let expected: Vec<_> = (0..150).map(|number| ids[number % 3].clone()).collect();
    assert!(ids == expected && ids[0] != ids[1] && ids[1] == ids[2]);

    let told = identify(&[]);
    let blocks: Vec<_> = told.split("\n\n").map(|block| block.lines().next().unwrap()).collect();
    let expected: Vec<_> = (0..150).map(name).collect();
    assert_eq!(blocks, expected.iter().map(|path| utf8(path)).collect::<Vec<_>>());
}

/// Writes a title and a hash into a safetensors file's header; returns the file's content.
fn titled(path: &Path) -> Vec<u8> {
    let before = fs::read(path).unwrap();
    let length = usize::try_from(u64::from_le_bytes(before[..8].try_into().unwrap())).unwrap();
    let mut header: Value = serde_json::from_slice(&before[8..8 + length]).unwrap();
    header["__metadata__"] = serde_json::json!({
        "modelspec.title": "A red cat", "modelspec.hash_sha256": "0x00ff"
    });
    let header = serde_json::to_vec(&header).unwrap();
    let content =
        [&(header.len() as u64).to_le_bytes(), &header[..], &before[8 + length..]].concat();
    fs::write(path, &content).unwrap();
    content
}

#[test]
fn what_is_no_checkpoint_is_named_and_leaves_nothing_behind() {
    let temp = tempfile::tempdir().unwrap();
    let empty = temp.path().join("empty.safetensors");
    fs::write(&empty, "").unwrap();
    let absent = temp.path().join("absent.safetensors");
    let out = temp.path().join("out");
    for file in [&empty, &absent] {
        for args in [&["identify", utf8(file)][..], &["export", utf8(file), "--output", utf8(&out)]]
        {
            let outcome = alone(args);
            assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""), "{args:?}");
            assert!(outcome.stderr.contains(utf8(file)), "{}", outcome.stderr);
        }
    }
    assert!(!out.exists());
}

/// Installs into `data` with a `python3` of this body, or with none.
fn install(data: &Path, python: Option<&str>) -> Outcome {
    let bin = tempfile::tempdir().unwrap();
    if let Some(body) = python {
        write_script(&bin.path().join("python3"), body);
    }
    let args = ["runtime", "install", "--data-dir", utf8(data), "--socket", "/nonexistent"];
    run(ctl(&args).env("PATH", bin.path()))
}

#[test]
fn each_way_of_not_downloading_says_what_to_do() {
    let temp = tempfile::tempdir().unwrap();
    let data = temp.path().join("data");
    let wrong = "while [ \"$1\" != --dest ]; do shift; done; echo no wheel > \"$2/x.whl\"";
    for (python, told) in [
        (None, "apt install python3"),
        (Some("echo /usr/bin/python3: No module named pip >&2; exit 1"), "apt install python3-pip"),
        (Some("echo 'Failed to establish a new connection' >&2; exit 1"), "check the network"),
        (Some("echo '[Errno 28] No space left on device' >&2; exit 1"), "is full"),
        (Some("exit 0"), "left no wheel"),
        (Some(wrong), TENSORRT_RTX.sha256),
    ] {
        let outcome = install(&data, python);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""), "{python:?}");
        assert!(outcome.stderr.contains(told), "{python:?}: {}", outcome.stderr);
        let left: Vec<_> = fs::read_dir(data.join("runtime")).unwrap().flatten().collect();
        assert_eq!(left.len(), 1, "only the lock: {left:?}");
    }
}

/// Has the libraries of `wheel` lie in `data` as if they had been installed.
fn put(data: &Path, wheel: &Wheel) {
    let dir = wheel.installed_dir(data);
    fs::create_dir_all(&dir).unwrap();
    wheel.libraries.iter().for_each(|name| fs::write(dir.join(name), "").unwrap());
}

#[test]
fn engines_can_be_built_without_what_proves_them() {
    let temp = tempfile::tempdir().unwrap();
    put(temp.path(), &TENSORRT_RTX);
    let outcome = install(temp.path(), Some("echo 'Network is unreachable' >&2; exit 1"));
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    assert!(outcome.stdout.contains("engines stay unproven"), "{}", outcome.stdout);
    assert_eq!(config::runtime::onnx_runtime(temp.path()), None);
}

#[test]
fn the_running_daemon_says_where_and_is_told() {
    let temp = tempfile::tempdir().unwrap();
    [TENSORRT_RTX, ONNX_RUNTIME].iter().for_each(|wheel| put(temp.path(), wheel));
    let mut status = status();
    status.daemon.data_dir = utf8(temp.path()).into();
    status.runtime_problem = Some("too new".into());
    let found = Reply::Status(Box::new(status.clone()));
    let spare = Reply::Failed(Failure::Other { message: "not asked for".into() });
    let daemon = FakeDaemon::replying([Reply::Status(Box::new(status)), found, spare]);
    let outcome = daemon.ctl(&["runtime", "install"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    assert_eq!(outcome.stdout.matches("was already installed in").count(), 2, "{}", outcome.stdout);
    assert!(outcome.stdout.contains("sdtrtd: too new"), "{}", outcome.stdout);
    assert_eq!(daemon.requests(), [Request::Status, Request::FindRuntime]);
}
