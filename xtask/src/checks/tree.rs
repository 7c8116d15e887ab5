//! Checks that building the daemon and the command line needs neither TensorRT nor libclang: only the worker
//! depends on their bindings.

use anyhow::{Result, ensure};

use crate::{cargo, process};

const PROGRAMS: [&str; 2] = ["sdtrtd", "sdtrtctl"];

/// The bindings of TensorRT, ONNX Runtime and CUDA, and what generates them with libclang.
const WORKERS_ALONE: [&str; 7] =
    ["trtx", "trtx-sys", "ort", "ort-sys", "cudarc", "bindgen", "clang-sys"];

/// Checks everything that the programs and their tests are built from.
pub(super) fn run() -> Result<()> {
    for program in PROGRAMS {
        let mut tree = cargo::command("tree", &[]);
        tree.args(["--package", program, "--edges", "all", "--prefix", "none"]);
        let found = workers_alone(&process::output(&mut tree)?);
        ensure!(
            found.is_empty(),
            "{program} depends on {}, which only the worker may; `cargo tree --package {program} \
             --invert {}` shows how",
            found.join(", "),
            found[0]
        );
    }
    Ok(())
}

/// Returns the packages of a tree, one per line, that must not be in it.
fn workers_alone(tree: &str) -> Vec<&'static str> {
    let names: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    WORKERS_ALONE.into_iter().filter(|name| names.contains(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_names_are_compared() {
        let tree =
            "sdtrtd v0.1.0 (/src/daemon)\nportable v1.0.0\nort v2.0.0-rc.15\ntrtx v0.9.1 (*)";
        assert_eq!(workers_alone(tree), ["trtx", "ort"]);
        assert!(workers_alone("sdtrtd v0.1.0\nsort v1.0.0").is_empty());
    }
}
