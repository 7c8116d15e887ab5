//! Shell completion: a small script for each shell, which calls this program each time.

use anyhow::{Context, Result};
use clap_complete::env::{Bash, EnvCompleter, Fish, Zsh};

use crate::{args::Shell, output};

const NAME: &str = "sdtrtctl";

pub(super) fn run(shell: Shell) -> Result<()> {
    let completer: &dyn EnvCompleter = match shell {
        Shell::Bash => &Bash,
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
    };
    let mut script = Vec::new();
    completer
        .write_registration("COMPLETE", NAME, NAME, NAME, &mut script)
        .context("cannot write the script")?;
    output::say(&String::from_utf8(script)?)
}
