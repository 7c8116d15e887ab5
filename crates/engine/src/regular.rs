//! Reading files that anything may lie in the place of.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rustix::fs::OFlags;

/// Opens the regular file at `path` for reading. A pipe would have whoever opens it wait for its other end, and a
/// device may do anything.
///
/// # Errors
/// When something else lies there, a link included, or it can't be opened.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let is_other = |error: &io::Error| {
        let code = error.raw_os_error().map(rustix::io::Errno::from_raw_os_error);
        // Of a link and of a socket.
        matches!(code, Some(rustix::io::Errno::LOOP | rustix::io::Errno::NXIO))
    };
    let file = match file {
        Err(error) if is_other(&error) => return Err(not_regular()),
        other => other?,
    };
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_regular()) }
}

/// Reads the regular file at `path`, of `limit` bytes at most.
///
/// # Errors
/// As [`open_regular`], and when it is longer.
pub fn read_regular(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let why = format!("it is longer than {limit} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    Ok(bytes)
}

fn not_regular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, os::unix::net::UnixListener};

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn nothing_but_a_file_is_read_and_nothing_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), "1234").unwrap();
        fs::create_dir(at("folder")).unwrap();
        symlink(at("file"), at("link")).unwrap();
        mknodat(CWD, at("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        for (name, limit, expected) in [
            ("file", 4, Ok(b"1234".to_vec())),
            ("file", 3, Err(io::ErrorKind::InvalidData)),
            ("folder", 9, Err(io::ErrorKind::InvalidInput)),
            ("link", 9, Err(io::ErrorKind::InvalidInput)),
            ("pipe", 9, Err(io::ErrorKind::InvalidInput)),
            ("socket", 9, Err(io::ErrorKind::InvalidInput)),
            ("nothing", 9, Err(io::ErrorKind::NotFound)),
        ] {
            let read = read_regular(&at(name), limit).map_err(|error| error.kind());
            assert_eq!(read, expected, "{name}");
        }
    }
}
