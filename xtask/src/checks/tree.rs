//! Whoever works on daemon or command line needs neither TensorRT nor libclang: the worker alone has what
//! binds them.

use anyhow::{Result, ensure};

use crate::{cargo, process};

const PROGRAMS: [&str; 2] = ["sdtrtd", "sdtrtctl"];

/// TensorRT, ONNX Runtime, CUDA, and what makes bindings by libclang.
const WORKERS_ALONE: [&str; 7] =
    ["trtx", "trtx-sys", "ort", "ort-sys", "cudarc", "bindgen", "clang-sys"];

/// Checks all that the programs and their tests are built from.
pub(super) fn run() -> Result<()> {
    for program in PROGRAMS {
        let mut tree = cargo::command("tree", &[]);
        tree.args(["--package", program, "--edges", "all", "--prefix", "none"]);
        let found = workers_alone(&process::output(&mut tree)?);
        ensure!(
            found.is_empty(),
            "{program} is built from {}, which only the worker may be; `cargo tree --package {program} \
             --invert {}` says by way of what",
            found.join(", "),
            found[0]
        );
    }
    Ok(())
}

/// The packages of a tree, one in a line, that must not be in it.
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
