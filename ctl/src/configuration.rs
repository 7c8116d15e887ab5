//! The configuration as sdtrtd would have it, its flags aside.

use std::{
    env, io,
    path::{Path, PathBuf},
};

use checkpoint::Kind;
use config::{Loaded, SYSTEM_FILE};

use crate::args::Global;

/// The file in use: the one that was named, the user's, or that of the system's daemon. It may not
/// be there yet.
pub(crate) fn file(global: &Global) -> PathBuf {
    if let Some(named) = &global.config {
        return named.clone();
    }
    let (users, systems) = (config::config_file(), Path::new(SYSTEM_FILE));
    // A daemon of the user's own that was told all by flags comes before the system's.
    let has_own = users.exists() || config::sockets().iter().any(|socket| socket.exists());
    if has_own || !systems.exists() { users } else { systems.to_owned() }
}

/// The values of file and variables; the defaults if there is no file. One that was named must
/// be there.
pub(crate) fn load(global: &Global) -> Result<Loaded, config::Error> {
    match config::load(Some(&file(global)), env::vars_os()) {
        Err(config::Error::Unreadable { source, .. })
            if source.kind() == io::ErrorKind::NotFound && global.config.is_none() =>
        {
            config::load(None, env::vars_os())
        }
        loaded => loaded,
    }
}

/// What rules can be for.
pub(crate) fn architectures() -> Vec<String> {
    Kind::ALL.iter().map(Kind::to_string).collect()
}
