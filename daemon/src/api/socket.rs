use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use listenfd::ListenFd;
use rustix::{
    fs::{FlockOperation, OFlags, flock},
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with},
};
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
    // A pipe in its place would have this wait for a reader.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().create(true).append(true).custom_flags(flags).open(path);
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
        refuse_taken(path)?;
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

/// Refuses a path where something else than a socket lies that nobody answers on: it is not ours to delete, and the lock
/// file that would keep others out can be.
fn refuse_taken(path: &Path) -> Result<()> {
    let shown = path.display();
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {}
        Ok(_) => bail!("{shown} is no socket, and is left alone; name another path for the socket"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("cannot look at {shown}")),
    }
    // Not to wait where it takes nobody in.
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let probe = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match SocketAddrUnix::new(path).and_then(|address| connect(&probe, &address)) {
        Ok(()) | Err(Errno::AGAIN) => bail!("another sdtrtd is running: it answers on {shown}"),
        Err(_) => Ok(()),
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

    #[tokio::test]
    async fn what_is_no_socket_is_refused_and_not_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let [file, folder] = ["file", "folder"].map(|name| dir.path().join(name));
        fs::write(&file, "mine").unwrap();
        fs::create_dir(&folder).unwrap();
        for path in [&file, &folder] {
            let refused = Socket::open(path).unwrap_err().to_string();
            assert!(refused.contains("is no socket, and is left alone"), "{refused}");
        }
        assert_eq!(fs::read(file).unwrap(), b"mine");
    }

    #[tokio::test]
    async fn a_live_socket_is_not_replaced_though_its_lock_file_was_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("s");
        let first = Socket::open(&socket).unwrap();
        fs::remove_file(dir.path().join("s.lock")).unwrap();
        let second = Socket::open(&socket).unwrap_err();
        assert!(second.to_string().contains("another sdtrtd"), "{second}");
        drop(first);
        Socket::open(&socket).unwrap();
    }
}
