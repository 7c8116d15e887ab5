//! Compressing a plan or a kernel cache.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, Write},
    path::Path,
};

use checkpoint::Id;
use tokio::task::spawn_blocking;

use crate::{StoreError, blob::packing};

/// Files of up to this size are compressed as far as is reasonable, and larger ones fast.
const SMALL: u64 = 64 << 20;

/// What is in a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plain {
    /// Its size in bytes.
    pub(crate) bytes: u64,
    pub(crate) blake3: Id,
}

/// A blob in a file without a name.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(crate) plain: Plain,
    /// Its compressed size in bytes.
    pub(crate) bytes: u64,
    file: File,
}

impl Packed {
    /// The compressed file, from its start.
    pub(crate) async fn file(&self) -> Result<File, StoreError> {
        let mut file = self.file.try_clone().map_err(packing)?;
        let rewound = spawn_blocking(move || file.rewind().map(|()| file));
        rewound.await.map_err(packing)?.map_err(packing)
    }
}

/// The size and BLAKE3 of a file.
pub(crate) async fn measure(path: &Path) -> Result<Plain, StoreError> {
    let local = |error| StoreError::local(path, error);
    let from = path.to_owned();
    let measured = spawn_blocking(move || copy(engine::open_regular(&from)?, &mut io::sink()));
    measured.await.map_err(|error| local(io::Error::other(error)))?.map_err(local)
}

/// Compresses a file.
///
/// # Errors
/// Also if it is not, or no longer, what is `expected`.
pub(crate) async fn pack(path: &Path, expected: Plain) -> Result<Packed, StoreError> {
    let from = path.to_owned();
    let packed = spawn_blocking(move || pack_file(&from, expected));
    packed.await.map_err(|error| StoreError::local(path, io::Error::other(error)))?
}

fn pack_file(path: &Path, expected: Plain) -> Result<Packed, StoreError> {
    let local = |error| StoreError::local(path, error);
    let from = engine::open_regular(path).map_err(local)?;
    let level = if expected.bytes > SMALL { 3 } else { 12 };
    let mut encoder =
        zstd::Encoder::new(tempfile::tempfile().map_err(packing)?, level).map_err(packing)?;
    let plain = copy(from, &mut encoder).map_err(local)?;
    let file = encoder.finish().map_err(packing)?;
    if plain != expected {
        let why = format!(
            "it has {} bytes and the BLAKE3 {}, and not {} bytes and {}",
            plain.bytes, plain.blake3, expected.bytes, expected.blake3
        );
        return Err(local(io::Error::new(io::ErrorKind::InvalidData, why)));
    }
    let bytes = file.metadata().map_err(packing)?.len();
    Ok(Packed { plain, bytes, file })
}

fn copy(from: File, to: &mut impl Write) -> io::Result<Plain> {
    let mut from = BufReader::with_capacity(1 << 20, from);
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    loop {
        let count = from.read(&mut buffer)?;
        let Some(chunk) = buffer.get(..count).filter(|chunk| !chunk.is_empty()) else { break };
        hasher.update(chunk);
        to.write_all(chunk)?;
        bytes += chunk.len() as u64;
    }
    Ok(Plain { bytes, blake3: Id::from(hasher.finalize()) })
}
