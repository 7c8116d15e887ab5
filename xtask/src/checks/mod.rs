//! What a change must pass.

mod deny;
mod python;
mod tree;

use std::{path::Path, process::Command};

use anyhow::Result;

use crate::{
    cargo::{self, Profile},
    folders, process, setup,
};

/// Format, ruff and mypy, what the programs are made of, clippy and rustdoc with their warnings as errors, then the
/// libraries and every test. The quickest first.
pub(crate) fn all() -> Result<()> {
    process::run(folders::cargo().args(["fmt", "--all", "--check"]))?;
    python::run()?;
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

/// All tests, or all that are quick. `args` go to the test programs.
pub(crate) fn test(quick: bool, args: &[String]) -> Result<()> {
    let kit = setup::all(Profile::Dev)?;
    // End-to-end tests build these once more in the same way, which then takes no time.
    cargo::build(Profile::Dev, &cargo::PACKAGES, &kit.build_variables())?;
    let mut test = cargo::command("test", &kit.variables());
    test.args(["--workspace", "--"]);
    if !quick {
        test.arg("--include-ignored");
    }
    process::run(test.args(args))?;
    webui()
}

/// Tests of the web UI's extension. They need nothing but Python.
fn webui() -> Result<()> {
    let webui = Path::new(env!("CARGO_MANIFEST_DIR")).join("../webui");
    let mut test = Command::new("python3");
    test.args(["-B", "-m", "unittest", "discover", "--start-directory", "tests"]);
    process::run(test.args(["--top-level-directory", "."]).current_dir(webui))
}
