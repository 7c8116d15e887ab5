//! The configuration as sdtrtd would have it, its flags aside.

use std::{
    env,
    fs::{self, File, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
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

/// Writes the file: to a temporary one, synced and renamed; links are followed, and permissions kept.
pub(crate) fn replace(file: &Path, text: &str) -> Result<()> {
    let written = || {
        let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
        let dir = file.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(dir)?;
        let mode = fs::metadata(&file).map_or(0o644, |found| found.permissions().mode() & 0o777);
        let mut aside = tempfile::Builder::new().prefix(".sdtrtd-").tempfile_in(dir)?;
        aside.write_all(text.as_bytes())?;
        aside.as_file().set_permissions(Permissions::from_mode(mode))?;
        aside.as_file().sync_all()?;
        aside.persist(&file).map_err(|error| error.error)?;
        File::open(dir)?.sync_all()
    };
    written().with_context(|| format!("cannot write {}; nothing was changed", file.display()))
}

/// What rules can be for.
pub(crate) fn architectures() -> Vec<String> {
    Kind::ALL.iter().map(Kind::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacing_keeps_rights_and_links() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("a.toml"), dir.path().join("link.toml"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        replace(&link, "new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
