//! Reads wheels: checksums, and unpacking.

use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    path::PathBuf,
};

use sha2::{Digest, Sha256};
use thiserror::Error;
use zip::{ZipArchive, result::ZipError};

/// Bytes read at a time.
const CHUNK: usize = 1 << 20;

/// A file to unpack.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its path in the wheel.
    pub path: String,
    /// The file to create.
    pub target: PathBuf,
}

/// Why a wheel was not unpacked.
#[derive(Debug, Error)]
pub enum UnpackError {
    /// It is not a wheel.
    #[error("the wheel is not a zip file")]
    NotAZip(#[source] ZipError),
    /// It lacks a file.
    #[error("the wheel does not contain {0}")]
    Lacks(String, #[source] ZipError),
    /// A file could not be written.
    #[error("cannot unpack {}, {} MB in total", .target.display(), .total / 1_000_000)]
    Write {
        /// The file.
        target: PathBuf,
        /// The size of all files in bytes.
        total: u64,
        /// The cause.
        source: io::Error,
    },
}

/// Returns the SHA-256 of the whole file in lower-case hex, and rewinds it.
///
/// # Errors
/// If it can't be read.
pub fn sha256(file: &mut File) -> io::Result<String> {
    let mut hasher = Sha256::new();
    copy(file, |chunk| {
        hasher.update(chunk);
        Ok(())
    })?;
    file.rewind()?;
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Unpacks members of a wheel into existing folders and syncs them. `progress` is called with the bytes
/// written and their total.
///
/// # Errors
/// If it is not a wheel, lacks a member, or if a file exists already or can't be written.
pub fn unpack(
    wheel: File,
    members: &[Member],
    mut progress: impl FnMut(u64, u64),
) -> Result<(), UnpackError> {
    let mut archive = ZipArchive::new(wheel).map_err(UnpackError::NotAZip)?;
    let lacks = |path: &str| {
        let path = path.to_owned();
        |error| UnpackError::Lacks(path, error)
    };
    let mut total = 0;
    for Member { path, .. } in members {
        total += archive.by_name(path).map_err(lacks(path))?.size();
    }
    let mut done = 0;
    for Member { path, target } in members {
        let mut entry = archive.by_name(path).map_err(lacks(path))?;
        let mut write = || {
            let mut file = File::create_new(target)?;
            copy(&mut entry, |chunk| {
                file.write_all(chunk)?;
                done += chunk.len() as u64;
                progress(done, total);
                Ok(())
            })?;
            file.sync_all()
        };
        write().map_err(|source| UnpackError::Write { target: target.clone(), total, source })?;
    }
    Ok(())
}

fn copy(from: &mut impl Read, mut to: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        match from.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(bytes) => to(&chunk[..bytes])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use zip::{ZipWriter, write::SimpleFileOptions};

    use super::*;

    fn wheel(dir: &Path, entries: &[&str]) -> File {
        let path = dir.join("sample.whl");
        let mut zip = ZipWriter::new(File::create(&path).unwrap());
        for &entry in entries {
            zip.start_file(entry, SimpleFileOptions::default()).unwrap();
            zip.write_all(entry.as_bytes()).unwrap();
        }
        zip.finish().unwrap();
        File::open(path).unwrap()
    }

    fn member(path: &str, target: PathBuf) -> Member {
        Member { path: path.to_owned(), target }
    }

    #[test]
    fn only_the_members_are_unpacked() {
        let temp = tempfile::tempdir().unwrap();
        let file = wheel(temp.path(), &["libs/one", "libs/other"]);
        let into = temp.path().join("into");
        fs::create_dir(&into).unwrap();
        let mut told = Vec::new();
        let progress = |done, total| told.push((done, total));
        unpack(file, &[member("libs/one", into.join("1"))], progress).unwrap();
        assert_eq!(fs::read_to_string(into.join("1")).unwrap(), "libs/one");
        assert_eq!(fs::read_dir(&into).unwrap().count(), 1);
        assert_eq!(told, [(8, 8)]);
    }

    #[test]
    fn a_missing_member_is_named_and_nothing_is_written() {
        let temp = tempfile::tempdir().unwrap();
        let file = wheel(temp.path(), &["libs/one"]);
        let members =
            [member("libs/one", temp.path().join("1")), member("libs/two", temp.path().join("2"))];
        let error = unpack(file, &members, |_, _| ()).unwrap_err().to_string();
        assert!(error.contains("libs/two"), "{error}");
        assert!(!temp.path().join("1").exists());
    }

    #[test]
    fn the_checksum_is_sha256s() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("abc");
        fs::write(&path, "abc").unwrap();
        let mut file = File::open(&path).unwrap();
        for _ in 0..2 {
            let found = sha256(&mut file).unwrap();
            assert_eq!(found, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        }
    }
}
