//! Blobs: plans and kernel caches, compressed, and named by the BLAKE3 of what is inside.

use std::{
    fs::{self, File, Permissions},
    io::{self, Read},
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::Path,
};

use bytes::Bytes;
use object_store::UpdateVersion;
use tokio::task::spawn_blocking;

use crate::{
    Refusal, StoreError,
    backend::{Backend, NO_VERSION, Written},
    names,
    pack::{Packed, Plain},
    unpack::{self, Expected},
};

/// The largest blob that is written by one request; larger ones go part by part.
const ONE_REQUEST: u64 = 32 << 20;

/// The size of a part.
const PART: usize = 16 << 20;

/// How often it is tried to write what others write too.
const TRIES: usize = 3;

/// How the name of a file begins that is being fetched.
const FETCHED: &str = ".fetched-";

/// Removes what fetches into this folder left when their process was killed. None may be under way.
///
/// # Errors
/// If it can't be listed, or something in it can't be removed.
pub fn sweep(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().as_bytes().starts_with(FETCHED.as_bytes()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// How a blob is in the store.
#[derive(Debug)]
pub(crate) enum Lying {
    /// It is what its name says. Its compressed size in bytes.
    Good(u64),
    /// It is not.
    Bad(UpdateVersion, Refusal),
    /// There is none.
    Absent,
}

impl Backend {
    /// Writes what is in a blob to `to`, for the object that names it.
    pub(crate) async fn fetch(
        &self,
        plain: &Plain,
        packed_bytes: u64,
        to: &Path,
    ) -> Result<(), StoreError> {
        let local = |error| StoreError::local(to, error);
        let name = names::blob(&plain.blake3);
        self.check_size(&name, plain.bytes.max(packed_bytes))?;
        let Some(reading) = self.reading(&name).await? else {
            return Err(StoreError::refused(&name, missing()));
        };
        if reading.meta.size != packed_bytes {
            return Err(StoreError::refused(&name, other_size(reading.meta.size, packed_bytes)));
        }
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).to_owned();
        let aside = {
            let folder = folder.clone();
            // As any new file, and not as a temporary one.
            let made = spawn_blocking(move || {
                let permissions = Permissions::from_mode(0o666);
                tempfile::Builder::new()
                    .prefix(FETCHED)
                    .permissions(permissions)
                    .tempfile_in(folder)
            });
            made.await.map_err(|error| local(io::Error::other(error)))?.map_err(local)?
        };
        let file = aside.reopen().map_err(local)?;
        let expected = Expected { plain: *plain, packed_bytes };
        unpack::unpack(self, &name, reading.chunks, expected, Some((file, to))).await?;
        let target = to.to_owned();
        let placed = spawn_blocking(move || {
            aside.as_file().sync_all()?;
            aside.persist(target)?;
            File::open(folder)?.sync_all()
        });
        placed.await.map_err(|error| local(io::Error::other(error)))?.map_err(local)
    }

    /// How the blob with this content is in the store. It is read whole.
    pub(crate) async fn look(&self, plain: &Plain) -> Result<Lying, StoreError> {
        let name = names::blob(&plain.blake3);
        let reading = match self.reading(&name).await {
            Ok(Some(reading)) => reading,
            Ok(None) => return Ok(Lying::Absent),
            Err(StoreError::Refused { refusal, .. }) => return Ok(Lying::Bad(NO_VERSION, refusal)),
            Err(error) => return Err(error),
        };
        let packed_bytes = reading.meta.size;
        let version = UpdateVersion { e_tag: reading.meta.e_tag, version: reading.meta.version };
        if let Err(StoreError::Refused { refusal, .. }) = self.check_size(&name, packed_bytes) {
            return Ok(Lying::Bad(version, refusal));
        }
        let expected = Expected { plain: *plain, packed_bytes };
        match unpack::unpack(self, &name, reading.chunks, expected, None).await {
            Ok(()) => Ok(Lying::Good(packed_bytes)),
            Err(StoreError::Refused { refusal, .. }) => Ok(Lying::Bad(version, refusal)),
            Err(error) => Err(error),
        }
    }

    /// Writes a blob unless it is there, and returns its compressed size in the store.
    pub(crate) async fn put_blob(&self, packed: &Packed) -> Result<u64, StoreError> {
        let name = names::blob(&packed.plain.blake3);
        self.check_size(&name, packed.plain.bytes.max(packed.bytes))?;
        for _ in 0..TRIES {
            let replaced = match self.look(&packed.plain).await? {
                Lying::Good(bytes) => return Ok(bytes),
                Lying::Bad(version, _) => Some(version),
                Lying::Absent => None,
            };
            let written = if packed.bytes > ONE_REQUEST {
                let mut parts = Parts { file: Some(packed.file().await?) };
                self.upload(&name, &mut parts).await.map(|()| Written::Done)
            } else {
                let bytes = read_whole(packed.file().await?).await?;
                match replaced {
                    Some(version) => self.replace(&name, bytes, version).await,
                    None => self.create(&name, bytes).await,
                }
            };
            if written? == Written::Done {
                return Ok(packed.bytes);
            }
        }
        Err(StoreError::away(format!("{name}: others keep writing it")))
    }

    /// Refuses what is larger than what is read.
    fn check_size(&self, name: &str, bytes: u64) -> Result<(), StoreError> {
        let limit = self.limits.blob_bytes;
        let too_large = Refusal::TooLarge { bytes, limit };
        if bytes > limit { Err(StoreError::refused(name, too_large)) } else { Ok(()) }
    }
}

/// What is left of a file that is written part by part.
#[derive(Debug)]
pub(crate) struct Parts {
    file: Option<File>,
}

impl Parts {
    /// The next part; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        let Some(mut file) = self.file.take() else { return Ok(None) };
        let read = spawn_blocking(move || {
            let mut part = Vec::with_capacity(PART);
            Read::by_ref(&mut file).take(PART as u64).read_to_end(&mut part).map(|_| (file, part))
        });
        let (file, part) = read.await.map_err(packing)?.map_err(packing)?;
        // Only the last part may be shorter.
        self.file = (part.len() == PART).then_some(file);
        Ok((!part.is_empty()).then(|| Bytes::from(part)))
    }
}

/// A blob that an object names and that is not there.
pub(crate) fn missing() -> Refusal {
    Refusal::NotWhatItSays("it is missing, though an engine or kernels name it".to_owned())
}

/// A blob that has another size than the object says which names it.
pub(crate) fn other_size(bytes: u64, expected: u64) -> Refusal {
    Refusal::NotWhatItSays(format!("it has {bytes} bytes and not {expected}"))
}

async fn read_whole(mut file: File) -> Result<Bytes, StoreError> {
    let read = spawn_blocking(move || {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map(|_| Bytes::from(bytes))
    });
    read.await.map_err(packing)?.map_err(packing)
}

/// Something is wrong with the file that what is written is compressed to.
pub(crate) fn packing(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::local(&std::env::temp_dir(), io::Error::other(error))
}
