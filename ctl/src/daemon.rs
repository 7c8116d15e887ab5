//! The connection to sdtrtd.

use std::path::PathBuf;

use anyhow::{Context, Result};
use protocol::{Client, ConnectError, Events, Question};

use crate::{args::Global, configuration};

/// A connection.
pub(crate) struct Daemon(Client);

impl Daemon {
    pub(crate) fn connect(global: &Global) -> Result<Self> {
        let mut first = None;
        for socket in sockets(global)? {
            match Client::connect(&socket) {
                Ok(client) => return Ok(Self(client)),
                Err(error @ ConnectError::NoDaemon { .. }) => first = first.or(Some(error)),
                Err(error) => return Err(error.into()),
            }
        }
        Err(first.context("sdtrtd has no socket on this machine")?.into())
    }

    /// Asks the daemon; what it could not do is an error as well.
    pub(crate) fn ask<Answer>(&mut self, question: Question<Answer>) -> Result<Answer> {
        Ok(self.0.ask(question)?)
    }

    pub(crate) fn watch(self) -> Result<Events> {
        self.0.watch().context("lost the connection to sdtrtd")
    }
}

/// Where the daemon listens: where somebody says, or at the first of the places that it takes by itself.
fn sockets(global: &Global) -> Result<Vec<PathBuf>> {
    if let Some(socket) = &global.socket {
        return Ok(vec![socket.clone()]);
    }
    let configured = configuration::load(global)?.config.socket;
    let mut usual = config::sockets();
    usual.retain(|socket| config::is_private(socket));
    Ok(if usual.first() == Some(&configured) { usual } else { vec![configured] })
}
