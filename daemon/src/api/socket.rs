use std::{
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use listenfd::ListenFd;
use rustix::fs::{FlockOperation, flock};
use tokio::net::UnixListener;

/// Held for as long as this process is the only one to use something.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Takes the lock file at `path`. The system lets go of it however the process ends, so one that
/// was left behind never blocks a start.
///
/// # Errors
/// When another process holds it, or it can't be made.
pub fn lock(path: &Path) -> Result<Lock> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    }
    let file = File::options().create(true).append(true).open(path);
    let file = file.with_context(|| format!("cannot open {}", path.display()))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        bail!("another sdtrtd is running: it holds {}", path.display());
    }
    Ok(Lock { _file: file })
}

/// Where clients ask; it goes with [`Self::close`].
#[derive(Debug)]
pub struct Socket(Option<(PathBuf, Lock)>);

impl Socket {
    /// Listens on the socket that a service manager made in our place, if it did; otherwise on one of
    /// our own at `path`.
    ///
    /// # Errors
    /// When another daemon listens there, or the socket can't be made or used.
    pub fn open(path: &Path) -> Result<(UnixListener, Self)> {
        let inherited = ListenFd::from_env().take_unix_listener(0);
        match inherited.context("what the service manager passed is no Unix socket")? {
            Some(listener) => {
                listener.set_nonblocking(true)?;
                // Whoever made it removes it.
                Ok((UnixListener::from_std(listener)?, Self(None)))
            }
            None => Self::bind(path),
        }
    }

    /// Listens on `path`, for this user only. What an earlier daemon left there is replaced.
    fn bind(path: &Path) -> Result<(UnixListener, Self)> {
        let beside = |suffix: &str| {
            let mut name = path.file_name().unwrap_or_default().to_owned();
            name.push(suffix);
            path.with_file_name(name)
        };
        let lock = lock(&beside(".lock"))?;
        // Made aside and moved, so that no moment lets others in.
        let aside: PathBuf = beside(".new");
        let _ = fs::remove_file(&aside);
        let listener = UnixListener::bind(&aside)
            .with_context(|| format!("cannot make the socket {}", path.display()))?;
        fs::set_permissions(&aside, Permissions::from_mode(0o600))?;
        fs::rename(&aside, path)
            .with_context(|| format!("cannot make the socket {}", path.display()))?;
        Ok((listener, Self(Some((path.to_owned(), lock)))))
    }

    /// Lets go of the socket, and removes it if it is ours.
    pub fn close(self) {
        if let Some((path, _lock)) = self.0 {
            // The lock is still held, so this is no other daemon's socket.
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("run/s");
        let first = Socket::open(&socket).unwrap();
        assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
        let second = Socket::open(&socket).unwrap_err();
        assert!(second.to_string().contains("another sdtrtd"), "{second}");
        drop(first);
        assert!(socket.exists(), "it is stale now");
        Socket::open(&socket).unwrap().1.close();
        assert!(!socket.exists());
    }
}
