//! The connection to sdtrtd.

use std::{
    ffi::OsStr,
    fs,
    path::{self, Component, Path, PathBuf},
};

use anyhow::{Context, Result};
use protocol::{Client, Events, Question, shown_path};

use crate::{args::Global, configuration};

/// A connection.
pub(crate) struct Daemon(Client);

impl Daemon {
    pub(crate) fn connect(global: &Global) -> Result<Self> {
        Ok(Self(Client::connect(&socket(global)?)?))
    }

    /// Asks the daemon; what it could not do is an error as well.
    pub(crate) fn ask<Answer>(&mut self, question: Question<Answer>) -> Result<Answer> {
        Ok(self.0.ask(question)?)
    }

    pub(crate) fn watch(self) -> Result<Events> {
        self.0.watch().context("lost the connection to sdtrtd")
    }
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
    Ok(shown_path(&known))
}

/// Absolute, links kept: the daemon knows a checkpoint by the path at which it found it.
fn absolute(path: &Path) -> Result<PathBuf> {
    let climbs = path.components().any(|component| component == Component::ParentDir);
    let resolved = match (climbs, path.parent(), path.file_name()) {
        // What `..` means depends on the links before it.
        (true, Some(parent), Some(name)) => fs::canonicalize(parent).map(|dir| dir.join(name)),
        _ => path::absolute(path),
    };
    resolved.with_context(|| format!("cannot resolve the path '{}'", path.display()))
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
        assert_eq!(reference(OsStr::from_bytes(b"a\xff.ckpt")).unwrap(), "a\u{fffd}ff.ckpt");
    }
}
