use std::{
    fmt,
    fs::{self, DirBuilder, File, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use config::is_private;
use listenfd::ListenFd;
use protocol::Address;
use rustix::{
    fs::{FlockOperation, OFlags, flock},
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with},
};
use thiserror::Error;
use tokio::net::UnixListener;

/// A lock that makes this process the only user of something.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Another process is listening there.
#[derive(Debug, Error)]
#[error("another sdtrtd is running: it {0}")]
struct AnotherDaemon(String);

/// Takes the lock file at `path`. The system releases it however the process ends, so a leftover file never
/// prevents a start.
///
/// # Errors
/// If another process holds it, or the file can't be created.
pub fn lock(path: &Path) -> Result<Lock> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    }
    // A pipe in its place would block until a reader opens it; and whoever may open the file may hold its
    // lock.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let options = File::options().create(true).append(true).mode(0o600).custom_flags(flags).clone();
    let file = options.open(path);
    let file = file.with_context(|| format!("cannot open {}", path.display()))?;
    let _ = file.set_permissions(Permissions::from_mode(0o600));
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        bail!(AnotherDaemon(format!("holds {}", path.display())));
    }
    Ok(Lock { _file: file })
}

/// The socket for clients; [`Self::close`] removes it.
#[derive(Debug)]
pub struct Socket {
    /// The first usable one of these is used.
    places: Vec<PathBuf>,
    /// The socket's path; absent if it has no file.
    path: Option<PathBuf>,
    /// The device and inode of its file.
    file: Option<(u64, u64)>,
    /// The mode that a service manager gave it.
    mode: u32,
    /// The lock, if this process created the socket.
    lock: Option<Lock>,
}

impl Socket {
    /// Listens on the socket that a service manager made in our place, if it did; otherwise on one of
    /// our own at the first of `places` that takes one.
    ///
    /// # Errors
    /// If another daemon listens there, or the socket can't be created or used.
    pub fn open(places: Vec<PathBuf>) -> Result<(UnixListener, Self)> {
        let inherited = ListenFd::from_env().take_unix_listener(0);
        let Some(listener) =
            inherited.context("what the service manager passed is no Unix socket")?
        else {
            let mut socket = Self { places, path: None, file: None, mode: 0o600, lock: None };
            return Ok((socket.bind_again()?, socket));
        };
        listener.set_nonblocking(true)?;
        let path = listener.local_addr()?.as_pathname().map(Path::to_owned);
        let found = path.as_ref().and_then(|path| fs::metadata(path).ok());
        let places = path.iter().cloned().chain(places).collect();
        // Its creator removes it.
        let socket = Self {
            places,
            path,
            file: found.as_ref().map(|found| (found.dev(), found.ino())),
            mode: found.map_or(0o600, |found| found.mode() & 0o777),
            lock: None,
        };
        Ok((UnixListener::from_std(listener)?, socket))
    }

    /// The socket's path.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Whether clients can find it.
    pub(super) fn is_there(&self) -> bool {
        let Some(path) = &self.path else { return true };
        let found = fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
        found.is_some() && found == self.file
    }

    /// Listens again, at the same place or the next one that accepts a socket.
    pub(super) fn bind_again(&mut self) -> Result<UnixListener> {
        // It may be the very file that is locked next.
        self.lock = None;
        let mut problem = None;
        for place in self.places.clone() {
            match self.bind(&place) {
                Ok(listener) => return Ok(listener),
                Err(error) if error.is::<AnotherDaemon>() => return Err(error),
                Err(error) => problem = problem.or(Some(error)),
            }
        }
        Err(problem.unwrap_or_else(|| anyhow::anyhow!("there is no place for the socket")))
    }

    /// Listens on `path`. Replaces the socket of an earlier daemon.
    fn bind(&mut self, path: &Path) -> Result<UnixListener> {
        if let Some(dir) = path.parent().filter(|dir| !dir.exists()) {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
            made.with_context(|| format!("cannot make {}", dir.display()))?;
        }
        if !is_private(path) {
            bail!(
                "the folder of {} belongs to another user, or others may open it",
                path.display()
            );
        }
        let beside = |suffix: &str| {
            let mut name = path.file_name().unwrap_or_default().to_owned();
            name.push(suffix);
            path.with_file_name(name)
        };
        let lock = lock(&beside(".lock"))?;
        refuse_taken(path)?;
        // Created elsewhere and renamed, so that it is never accessible to others.
        let aside: PathBuf = beside(".new");
        let _ = fs::remove_file(&aside);
        let cannot = || format!("cannot make the socket {}", path.display());
        let address = Address::of(&aside).with_context(cannot)?;
        let listener = UnixListener::bind(address.path()).with_context(cannot)?;
        fs::set_permissions(&aside, Permissions::from_mode(self.mode))?;
        fs::rename(&aside, path).with_context(cannot)?;
        self.file = fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
        self.path = Some(path.to_owned());
        self.lock = Some(lock);
        Ok(listener)
    }

    /// Closes the socket, and removes it if this process created it.
    pub fn close(self) {
        if let (Some(path), Some(_lock), true) = (&self.path, &self.lock, self.is_there()) {
            // The lock is still held, so the socket is not another daemon's.
            let _ = fs::remove_file(path);
        }
    }
}

/// Refuses a path with anything but an abandoned socket: it is not ours to delete, while the lock file that
/// would keep others out can be deleted.
fn refuse_taken(path: &Path) -> Result<()> {
    let shown = path.display();
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {}
        Ok(_) => bail!("{shown} is no socket, and is left alone; name another path for the socket"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("cannot look at {shown}")),
    }
    // Without waiting, in case it accepts no one.
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let probe = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    let address = Address::of(path)?;
    match SocketAddrUnix::new(address.path()).and_then(|address| connect(&probe, &address)) {
        Ok(()) | Err(Errno::AGAIN) => bail!(AnotherDaemon(format!("answers on {shown}"))),
        Err(_) => Ok(()),
    }
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => path.display().fmt(f),
            None => f.write_str("the service manager's"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn open(path: &Path) -> Result<(UnixListener, Socket)> {
        Socket::open(vec![path.to_owned()])
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("run/s");
        let first = open(&socket).unwrap();
        assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
        let lock = socket.with_file_name("s.lock");
        assert_eq!(fs::metadata(lock).unwrap().permissions().mode() & 0o777, 0o600);
        let second = open(&socket).unwrap_err();
        assert!(second.to_string().contains("another sdtrtd"), "{second}");
        drop(first);
        assert!(socket.exists(), "it is stale now");
        open(&socket).unwrap().1.close();
        assert!(!socket.exists());
    }

    #[tokio::test]
    async fn what_is_no_socket_is_refused_and_not_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let [file, folder] = ["file", "folder"].map(|name| dir.path().join(name));
        fs::write(&file, "mine").unwrap();
        fs::create_dir(&folder).unwrap();
        for path in [&file, &folder] {
            let refused = open(path).unwrap_err().to_string();
            assert!(refused.contains("is no socket, and is left alone"), "{refused}");
        }
        assert_eq!(fs::read(file).unwrap(), b"mine");
    }

    #[tokio::test]
    async fn a_live_socket_is_not_replaced_though_its_lock_file_was_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("s");
        let first = open(&socket).unwrap();
        fs::remove_file(dir.path().join("s.lock")).unwrap();
        let second = open(&socket).unwrap_err();
        assert!(second.to_string().contains("another sdtrtd"), "{second}");
        drop(first);
        open(&socket).unwrap();
    }

    #[tokio::test]
    async fn a_socket_that_is_deleted_is_made_again_and_somebody_elses_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/s");
        let (_listener, mut socket) = open(&path).unwrap();
        assert!(socket.is_there());
        for with_folder in [false, true] {
            match with_folder {
                false => fs::remove_file(&path).unwrap(),
                true => fs::remove_dir_all(path.parent().unwrap()).unwrap(),
            }
            assert!(!socket.is_there());
            let _listener = socket.bind_again().unwrap();
            assert!(socket.is_there());
            UnixStream::connect(&path).unwrap();
        }
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
        let (_other, others) = open(&path).unwrap();
        assert!(!socket.is_there());
        assert!(socket.bind_again().unwrap_err().to_string().contains("another sdtrtd"));
        socket.close();
        assert!(others.is_there(), "it was not removed");
    }

    #[tokio::test]
    async fn the_next_place_is_taken_where_one_takes_no_socket() {
        let dir = tempfile::tempdir().unwrap();
        let (file, second) = (dir.path().join("file"), dir.path().join("second/s"));
        fs::write(&file, "").unwrap();
        let (_listener, socket) =
            Socket::open(vec![file.join("s"), file.clone(), second.clone()]).unwrap();
        assert_eq!(socket.path(), Some(second.as_path()));
        assert_eq!(fs::read(&file).unwrap(), b"", "what is no socket is left");
        let error = open(&file).unwrap_err().to_string();
        assert!(error.contains("is no socket"), "{error}");
    }

    #[tokio::test]
    async fn a_path_that_is_too_long_for_the_kernel_is_no_matter() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("long/".repeat(40)).join("sdtrtd.sock");
        let (_listener, socket) = open(&path).unwrap();
        UnixStream::connect(Address::of(&path).unwrap().path()).unwrap();
        socket.close();
        assert!(!path.exists());
    }
}
