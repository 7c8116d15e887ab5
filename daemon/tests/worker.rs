//! What the daemon reports if `sdtrt-worker` is missing or of another release.
#![allow(clippy::unwrap_used)]

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
};

use serde_json::Value;

/// Returns why an `sdtrtd` can't build.
fn problem(sdtrtd: &Path) -> String {
    let output = Command::new(sdtrtd).arg("probe").env_clear().env("HOME", "/nowhere").output();
    let machine: Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
    machine["runtime_problem"].as_str().unwrap().to_owned()
}

#[test]
fn a_missing_or_different_worker_is_reported_with_the_remedy() {
    let root = tempfile::tempdir().unwrap();
    let bin = root.path().join("bin");
    let sdtrtd = bin.join("sdtrtd");
    fs::create_dir(&bin).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_sdtrtd"), &sdtrtd).unwrap();
    let beside = bin.join("sdtrt-worker");
    let libexec = root.path().join("libexec/sdtrt/sdtrt-worker");

    let missing = problem(&sdtrtd);
    for place in [&beside, &libexec] {
        assert!(missing.contains(&place.display().to_string()), "{missing}");
    }

    fs::create_dir_all(libexec.parent().unwrap()).unwrap();
    fs::write(&libexec, "#!/bin/sh\necho '{\"version\":\"99.0.0\",\"messages\":1}'\n").unwrap();
    fs::set_permissions(&libexec, Permissions::from_mode(0o755)).unwrap();
    let other = problem(&sdtrtd);
    for told in [&*libexec.display().to_string(), "99.0.0", env!("CARGO_PKG_VERSION"), "restart"] {
        assert!(other.contains(told), "{other}");
    }
}
