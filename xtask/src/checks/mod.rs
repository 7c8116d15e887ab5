//! The checks that a change must pass.

mod deny;
mod docs;
mod house;
mod python;
mod tree;

use std::{path::Path, process::Command};

use anyhow::Result;

use crate::{
    cargo::{self, Profile},
    folders, process, setup,
};

/// Runs every check, the quickest first: format, ruff and mypy, the rules of the house, the documentation's links and
/// messages, the dependency trees, clippy and rustdoc with warnings as errors, cargo-deny, and every test.
pub(crate) fn all() -> Result<()> {
    process::run(folders::cargo().args(["fmt", "--all", "--check"]))?;
    python::run()?;
    house::run()?;
    docs::run()?;
    tree::run()?;
    let kit = setup::all(Profile::Dev)?;
    let variables = kit.build_variables();
    let mut clippy = cargo::command("clippy", &variables);
    process::run(clippy.args(["--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    let mut doc = cargo::command("doc", &variables);
    doc.args(["--workspace", "--no-deps", "--document-private-items"]);
    process::run(doc.env("RUSTDOCFLAGS", "-D warnings"))?;
    deny::run()?;
    test(false, &[])
}

/// Runs all tests, or the quick ones. `args` are passed to the test programs.
pub(crate) fn test(quick: bool, args: &[String]) -> Result<()> {
    let kit = setup::all(Profile::Dev)?;
    // End-to-end tests build these again with the same settings, which then takes no time.
    cargo::build(Profile::Dev, &cargo::PACKAGES, &kit.build_variables())?;
    let mut test = cargo::command("test", &kit.variables());
    test.args(["--workspace", "--"]);
    if !quick {
        test.arg("--include-ignored");
    }
    process::run(test.args(args))?;
    webui()
}

/// Runs the tests of the web UI's extension, which need only Python.
fn webui() -> Result<()> {
    let webui = Path::new(env!("CARGO_MANIFEST_DIR")).join("../webui");
    let mut test = Command::new("python3");
    test.args(["-B", "-m", "unittest", "discover", "--start-directory", "tests"]);
    process::run(test.args(["--top-level-directory", "."]).current_dir(webui))
}
