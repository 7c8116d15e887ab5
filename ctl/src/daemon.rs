//! The connection to sdtrtd.

use std::{
    ffi::OsStr,
    fs,
    path::{self, Component, Path, PathBuf},
};

use anyhow::{Context, Result, anyhow};
use protocol::{
    Checkpoint, Client, Coverage, Disk, Engine, Events, ExtensionIndex, Finished, Garbage, JobLog,
    Materialized, Reloaded, Reply, Request, Status, Verdict,
};

use crate::{args::Global, configuration};

/// A connection, and one method for each shape of reply.
pub(crate) struct Daemon(Client);

impl Daemon {
    pub(crate) fn connect(global: &Global) -> Result<Self> {
        Ok(Self(Client::connect(&socket(global)?)?))
    }

    fn ask(&mut self, request: &Request) -> Result<Reply> {
        match self.0.ask(request).context("the connection to sdtrtd broke")? {
            Reply::Failed(failure) => Err(failure.into()),
            reply => Ok(reply),
        }
    }

    pub(crate) fn status(&mut self, request: &Request) -> Result<Status> {
        match self.ask(request)? {
            Reply::Status(status) => Ok(*status),
            other => Err(unexpected(&other)),
        }
    }

    pub(crate) fn list(&mut self, request: &Request) -> Result<Vec<Checkpoint>> {
        match self.ask(request)? {
            Reply::List(list) => Ok(list.0),
            other => Err(unexpected(&other)),
        }
    }

    pub(crate) fn checkpoint(&mut self, request: &Request) -> Result<Checkpoint> {
        match self.ask(request)? {
            Reply::Checkpoint(checkpoint) => Ok(checkpoint),
            other => Err(unexpected(&other)),
        }
    }

    pub(crate) fn coverage(&mut self, request: &Request) -> Result<Vec<Coverage>> {
        match self.ask(request)? {
            Reply::Coverage(coverage) => Ok(coverage),
            other => Err(unexpected(&other)),
        }
    }

    pub(crate) fn materialized(&mut self, request: &Request) -> Result<Materialized> {
        match self.ask(request)? {
            Reply::Materialized(materialized) => Ok(materialized),
            other => Err(unexpected(&other)),
        }
    }

    pub(crate) fn removed(&mut self, engine: &str) -> Result<String> {
        match self.ask(&Request::Remove { engine: engine.to_owned() })? {
            Reply::Removed(key) => Ok(key),
            other => Err(unexpected(&other)),
        }
    }

    pub(crate) fn verified(&mut self) -> Result<Vec<Verdict>> {
        match self.ask(&Request::Verify)? {
            Reply::Verified(verdicts) => Ok(verdicts),
            other => Err(unexpected(&other)),
        }
    }

    pub(crate) fn webuis(&mut self) -> Result<Vec<ExtensionIndex>> {
        match self.ask(&Request::WebUis)? {
            Reply::WebUis(indexes) => Ok(indexes),
            other => Err(unexpected(&other)),
        }
    }

    pub(crate) fn disk(&mut self) -> Result<Disk> {
        match self.ask(&Request::Disk)? {
            Reply::Disk(disk) => Ok(disk),
            other => Err(unexpected(&other)),
        }
    }

    pub(crate) fn engines(&mut self, request: &Request) -> Result<Vec<Engine>> {
        match self.ask(request)? {
            Reply::Engines(engines) => Ok(engines),
            other => Err(unexpected(&other)),
        }
    }

    pub(crate) fn garbage(&mut self, dry_run: bool) -> Result<Vec<Garbage>> {
        match self.ask(&Request::Gc { dry_run })? {
            Reply::Garbage(garbage) => Ok(garbage),
            other => Err(unexpected(&other)),
        }
    }

    pub(crate) fn log(&mut self, reference: Option<String>) -> Result<JobLog> {
        match self.ask(&Request::Log { reference })? {
            Reply::Log(log) => Ok(log),
            other => Err(unexpected(&other)),
        }
    }

    pub(crate) fn history(&mut self) -> Result<Vec<Finished>> {
        match self.ask(&Request::History)? {
            Reply::History(history) => Ok(history),
            other => Err(unexpected(&other)),
        }
    }

    pub(crate) fn reload(&mut self) -> Result<Reloaded> {
        match self.ask(&Request::Reload)? {
            Reply::Reloaded(reloaded) => Ok(reloaded),
            other => Err(unexpected(&other)),
        }
    }

    pub(crate) fn watch(self) -> Result<Events> {
        self.0.watch().context("the connection to sdtrtd broke")
    }
}

fn unexpected(reply: &Reply) -> anyhow::Error {
    let kind = match reply {
        Reply::Status(_) => "a status",
        Reply::List(_) => "a list",
        Reply::Checkpoint(_) => "a checkpoint",
        Reply::Coverage(_) => "a coverage",
        Reply::Materialized(_) => "a materialized engine",
        Reply::Removed(_) => "a removal",
        Reply::Verified(_) => "verdicts",
        Reply::WebUis(_) => "web UIs",
        Reply::Disk(_) => "a disk",
        Reply::Engines(_) => "engines",
        Reply::Garbage(_) => "garbage",
        Reply::Log(_) => "a log",
        Reply::History(_) => "a history",
        Reply::Reloaded(_) => "a reload",
        Reply::Noted => "a nod",
        Reply::Failed(_) => "a failure",
    };
    anyhow!("sdtrtd answered with {kind}, which was not asked for; please report this as a bug")
}

fn socket(global: &Global) -> Result<PathBuf> {
    match &global.socket {
        Some(socket) => Ok(socket.clone()),
        None => Ok(configuration::load(global)?.config.socket),
    }
}

/// A reference as the daemon understands it: it has another working directory, so paths become
/// absolute. What holds no slash is an id or a file name.
pub(crate) fn reference(typed: &OsStr) -> Result<String> {
    let path = Path::new(typed);
    let is_path = typed.as_encoded_bytes().contains(&b'/');
    let known = if is_path { absolute(path)? } else { path.to_owned() };
    // The daemon shows and compares paths that are not UTF-8 in this very form.
    Ok(known.to_string_lossy().into_owned())
}

/// Absolute, links kept: the daemon knows a checkpoint by the path at which it found it.
fn absolute(path: &Path) -> Result<PathBuf> {
    let climbs = path.components().any(|component| component == Component::ParentDir);
    let resolved = match (climbs, path.parent(), path.file_name()) {
        // What lies behind `..` depends on the links before it.
        (true, Some(parent), Some(name)) => fs::canonicalize(parent).map(|dir| dir.join(name)),
        _ => path::absolute(path),
    };
    resolved.with_context(|| format!("cannot tell which file '{}' is", path.display()))
}

#[cfg(test)]
mod tests {
    use std::env;

    use super::*;

    #[test]
    fn only_paths_become_absolute() {
        let here = env::current_dir().unwrap();
        let here = here.display();
        for (typed, expected) in [
            ("0123abcd", "0123abcd".to_owned()),
            ("model.safetensors", "model.safetensors".to_owned()),
            ("./model.safetensors", format!("{here}/model.safetensors")),
            ("sub/model.safetensors", format!("{here}/sub/model.safetensors")),
            ("src/../model.safetensors", format!("{here}/model.safetensors")),
            ("/m//x.safetensors", "/m/x.safetensors".to_owned()),
        ] {
            assert_eq!(reference(OsStr::new(typed)).unwrap(), expected, "{typed}");
        }
    }

    #[test]
    fn names_that_are_not_utf8_take_the_form_that_the_daemon_shows() {
        use std::os::unix::ffi::OsStrExt;
        assert_eq!(reference(OsStr::from_bytes(b"a\xff.ckpt")).unwrap(), "a\u{fffd}.ckpt");
    }
}
