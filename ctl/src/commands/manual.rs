//! Manual pages, from the same definitions as the help.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::args;
use anyhow::{Context, Result};

pub(super) fn run(output: &Path) -> Result<()> {
    fs::create_dir_all(output).with_context(|| format!("cannot create {}", output.display()))?;
    write(&args::command().disable_help_subcommand(true), "sdtrtctl", output)
}

fn write(command: &clap::Command, name: &str, output: &Path) -> Result<()> {
    let mut command = command.clone().name(name.to_owned().leak() as &str);
    command.build();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).section("1").render(&mut page)?;
    let path: PathBuf = output.join(format!("{name}.1"));
    fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
    let below = command.get_subcommands().filter(|below| !below.is_hide_set());
    for below in below.filter(|below| below.get_name() != "help") {
        write(below, &format!("{name}-{}", below.get_name()), output)?;
    }
    Ok(())
}
