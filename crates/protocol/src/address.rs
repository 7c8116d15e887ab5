use std::{
    fs::File,
    io,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
};

/// Longest path that the kernel takes for a socket, in bytes.
const LONGEST: usize = 107;

/// Where to bind or connect a Unix socket. A path that is longer than the kernel takes is reached through its folder.
#[derive(Debug)]
pub struct Address {
    path: PathBuf,
    /// The path goes through it.
    _folder: Option<File>,
}

impl Address {
    /// The address of the socket at `path`, while this lives.
    ///
    /// # Errors
    /// If the path is too long, and its folder can't be opened.
    pub fn of(path: &Path) -> io::Result<Self> {
        if path.as_os_str().len() <= LONGEST {
            return Ok(Self { path: path.to_owned(), _folder: None });
        }
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let folder = File::open(folder)?;
        let path = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
        Ok(Self { path, _folder: Some(folder) })
    }

    /// The path to pass to the kernel.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::net::{UnixListener, UnixStream},
    };

    use super::*;

    #[test]
    fn a_socket_with_a_long_path_is_met_at_that_path() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["short", &"long/".repeat(40)] {
            let socket = dir.path().join(folder).join("sdtrtd.sock");
            fs::create_dir_all(socket.parent().unwrap()).unwrap();
            let address = Address::of(&socket).unwrap();
            let listener = UnixListener::bind(address.path()).unwrap();
            assert!(socket.exists(), "{folder}");
            UnixStream::connect(Address::of(&socket).unwrap().path()).unwrap();
            listener.accept().unwrap();
        }
        let missing = dir.path().join("missing/".repeat(40)).join("s");
        assert_eq!(Address::of(&missing).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
