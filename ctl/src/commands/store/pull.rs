//! What the daemon takes out of a store: it alone writes into its library.

use std::{path::Path, time::Duration};

use anyhow::{Result, bail};
use indicatif::ProgressBar;
use protocol::question;

use super::opened;
use crate::{args::Global, daemon::Daemon, output, render::store as render};

pub(super) fn pull(global: &Global, engines: &[String]) -> Result<()> {
    ask(global, None, engines)
}

pub(super) fn import(global: &Global, dir: &Path, engines: &[String]) -> Result<()> {
    if !dir.is_dir() {
        bail!(
            "{} is no folder; `sdtrtctl export-engine` fills one on another machine",
            dir.display()
        );
    }
    if !dir.join("v1").is_dir() {
        bail!("{} is no store: it has no folder v1 with engines in it", dir.display());
    }
    ask(global, Some(opened::url(dir)?), engines)
}

fn ask(global: &Global, url: Option<String>, engines: &[String]) -> Result<()> {
    let mut daemon = Daemon::connect(global)?;
    let spinner = ProgressBar::new_spinner();
    spinner.set_message("fetching and checking");
    spinner.enable_steady_tick(Duration::from_millis(100));
    let pulled = daemon.ask(question::pull(url, engines.to_owned()));
    spinner.finish_and_clear();
    let pulled = pulled?;
    output::answer(global, &pulled, |all| render::pulled(all, output::look()))?;
    match render::pull_complaint(&pulled) {
        Some(complaint) => bail!(complaint),
        None => Ok(()),
    }
}
