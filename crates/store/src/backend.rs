//! Objects as bytes: asking the object store or folder, for as long as it may take and for as much as may come.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream::BoxStream};
use object_store::{
    Error, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload, UpdateVersion, path::Path,
};
use tokio::time::timeout;

use crate::{
    Address, Limits, Refusal, StoreError,
    address::Place,
    blob::Parts,
    fault::{away, has_no_condition, has_no_links, is_absent},
    provider,
    reach::{Reach, create_in_place},
};

/// The folder of this format, in which all objects are.
pub(crate) const ROOT: &str = "v1";

/// How many objects of a kind are listed: a server that never ends must not fill the memory.
const MOST_LISTED: usize = 1_000_000;

/// Where objects are, and how long they are waited for.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) reach: Reach,
    prefix: Path,
    pub(crate) limits: Limits,
}

/// An object that was read.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) bytes: Bytes,
    pub(crate) version: UpdateVersion,
}

/// An object that is being read.
pub(crate) struct Reading {
    pub(crate) meta: ObjectMeta,
    pub(crate) chunks: BoxStream<'static, object_store::Result<Bytes>>,
}

/// That of what was not read: what replaces it replaces anything.
pub(crate) const NO_VERSION: UpdateVersion = UpdateVersion { e_tag: None, version: None };

/// What became of a conditional write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Done,
    /// Another was there, or had come in between.
    Other,
}

impl Backend {
    pub(crate) fn open(address: &Address, limits: Limits) -> Result<Self, StoreError> {
        let (reach, prefix) = match address.place() {
            Place::Folder(path) => {
                (Reach::Folder(path.clone(), |files| Arc::new(files)), Path::default())
            }
            Place::Bucket(provider, name, prefix) => {
                let client = provider::bucket(*provider, name, &limits)?;
                (Reach::Client(client), prefix.clone())
            }
            Place::Web => (Reach::Client(provider::web(address.url(), &limits)?), Path::default()),
        };
        Ok(Self { reach, prefix, limits })
    }

    /// What is reached in this way, for tests.
    #[cfg(test)]
    pub(crate) fn of(reach: Reach, limits: Limits) -> Self {
        Self { reach, prefix: Path::default(), limits }
    }

    /// Where the objects whose names begin with `name` are; names have no characters that an object store encodes.
    fn path(&self, name: &str) -> Path {
        let whole = name.split('/').filter(|part| !part.is_empty());
        whole.fold(self.prefix.clone().join(ROOT), |path, part| path.join(part))
    }

    /// The name below `v1/` of a listed object.
    pub(crate) fn name(&self, location: &Path) -> Option<String> {
        let root = self.prefix.clone().join(ROOT);
        let parts: Vec<_> = location.prefix_match(&root)?.collect();
        Some(parts.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join("/"))
    }

    /// How long this many bytes may take.
    pub(crate) fn time_for(&self, bytes: u64) -> Duration {
        self.limits.small + Duration::from_secs(bytes / self.limits.slowest.max(1))
    }

    async fn within<T>(
        &self,
        time: Duration,
        name: &str,
        asking: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let late =
            || StoreError::away(format!("{name}: no answer within {} s", time.as_secs_f64()));
        timeout(time, asking).await.unwrap_or_else(|_| Err(late()))
    }

    /// Reads a small object of `limit` bytes at most.
    pub(crate) async fn read(&self, name: &str, limit: u64) -> Result<Option<Found>, StoreError> {
        let asking = async {
            let Some(mut reading) = self.get(name).await? else { return Ok(None) };
            let too_large = |bytes| StoreError::refused(name, Refusal::TooLarge { bytes, limit });
            if reading.meta.size > limit {
                return Err(too_large(reading.meta.size));
            }
            let mut bytes = BytesMut::new();
            while let Some(chunk) = reading.chunks.next().await {
                let chunk = chunk.map_err(|error| away(name, &error))?;
                bytes.extend_from_slice(&chunk);
                if bytes.len() as u64 > limit {
                    return Err(too_large(bytes.len() as u64));
                }
            }
            let ObjectMeta { e_tag, version, .. } = reading.meta;
            Ok(Some(Found { bytes: bytes.freeze(), version: UpdateVersion { e_tag, version } }))
        };
        self.within(self.limits.small, name, asking).await
    }

    /// Begins to read an object; whoever reads on watches the time.
    pub(crate) async fn reading(&self, name: &str) -> Result<Option<Reading>, StoreError> {
        self.within(self.limits.small, name, self.get(name)).await
    }

    async fn get(&self, name: &str) -> Result<Option<Reading>, StoreError> {
        let client = self.reach.client().await?;
        self.reach.check_kind(name).await?;
        match client.get(&self.path(name)).await {
            Ok(got) => Ok(Some(Reading { meta: got.meta.clone(), chunks: got.into_stream() })),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(away(name, &error)),
        }
    }

    pub(crate) async fn head(&self, name: &str) -> Result<Option<ObjectMeta>, StoreError> {
        let asking = async {
            let client = self.reach.client().await?;
            self.reach.check_kind(name).await?;
            match client.head(&self.path(name)).await {
                Ok(meta) => Ok(Some(meta)),
                Err(error) if is_absent(&error) => Ok(None),
                Err(error) => Err(away(name, &error)),
            }
        };
        self.within(self.limits.small, name, asking).await
    }

    /// Writes an object that is not there yet, whole or not at all.
    pub(crate) async fn create(&self, name: &str, bytes: Bytes) -> Result<Written, StoreError> {
        match self.put(name, bytes.clone(), PutMode::Create).await? {
            Ok(written) => Ok(written),
            // Two that write at once then write the same, or what the other's signature vouches for as well.
            Err(error) if has_no_condition(&error) => match self.head(name).await? {
                Some(_) => Ok(Written::Other),
                None => self.overwrite(name, bytes).await.map(|()| Written::Done),
            },
            Err(error) => Err(away(name, &error)),
        }
    }

    /// Writes an object that is not there yet, or fails: of several at once, one has done it.
    pub(crate) async fn create_alone(
        &self,
        name: &str,
        bytes: Bytes,
    ) -> Result<Written, StoreError> {
        match (self.put(name, bytes.clone(), PutMode::Create).await?, &self.reach) {
            (Ok(written), _) => Ok(written),
            (Err(error), Reach::Folder(root, _)) if has_no_links(&error) => {
                create_in_place(root.join(ROOT).join(name), bytes)
                    .await
                    .map_err(|error| StoreError::away(format!("{name}: {error}")))
            }
            (Err(error), _) => Err(away(name, &error)),
        }
    }

    /// Writes an object in place of this version of it, or of any where the provider can't tell.
    pub(crate) async fn replace(
        &self,
        name: &str,
        bytes: Bytes,
        version: UpdateVersion,
    ) -> Result<Written, StoreError> {
        if version.e_tag.is_none() && version.version.is_none() {
            return self.overwrite(name, bytes).await.map(|()| Written::Done);
        }
        match self.put(name, bytes.clone(), PutMode::Update(version)).await? {
            Ok(written) => Ok(written),
            Err(error) if has_no_condition(&error) => {
                self.overwrite(name, bytes).await.map(|()| Written::Done)
            }
            Err(error) => Err(away(name, &error)),
        }
    }

    pub(crate) async fn overwrite(&self, name: &str, bytes: Bytes) -> Result<(), StoreError> {
        let written = self.put(name, bytes, PutMode::Overwrite).await?;
        written.map(|_| ()).map_err(|error| away(name, &error))
    }

    async fn put(
        &self,
        name: &str,
        bytes: Bytes,
        mode: PutMode,
    ) -> Result<Result<Written, Error>, StoreError> {
        let asking = async {
            let client = self.reach.client().await?;
            let path = self.path(name);
            let put = client.put_opts(&path, PutPayload::from(bytes.clone()), mode.into());
            Ok(match put.await {
                Ok(_) => Ok(Written::Done),
                Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(Written::Other),
                Err(error) => Err(error),
            })
        };
        self.within(self.time_for(bytes.len() as u64), name, asking).await
    }

    /// Writes a large object part by part. Until the last part is there it can't be seen.
    pub(crate) async fn upload(&self, name: &str, parts: &mut Parts) -> Result<(), StoreError> {
        let begin = async {
            let client = self.reach.client().await?;
            client.put_multipart(&self.path(name)).await.map_err(|error| away(name, &error))
        };
        let mut upload = self.within(self.limits.small, name, begin).await?;
        let sent = async {
            while let Some(bytes) = parts.next().await? {
                let time = self.time_for(bytes.len() as u64);
                let put = upload.put_part(PutPayload::from(bytes));
                let put = async { put.await.map_err(|error| away(name, &error)) };
                self.within(time, name, put).await?;
            }
            let complete = async { upload.complete().await.map_err(|error| away(name, &error)) };
            self.within(self.limits.small, name, complete).await.map(|_| ())
        };
        let sent = sent.await;
        if sent.is_err() {
            // A provider that is away keeps the parts, for as long as its own rules say.
            let _ = timeout(self.limits.small, upload.abort()).await;
        }
        sent
    }

    /// Deletes an object, if it is there.
    pub(crate) async fn delete(&self, name: &str) -> Result<(), StoreError> {
        let asking = async {
            match self.reach.client().await?.delete(&self.path(name)).await {
                Ok(()) => Ok(()),
                Err(error) if is_absent(&error) => Ok(()),
                Err(error) => Err(away(name, &error)),
            }
        };
        self.within(self.limits.small, name, asking).await
    }

    /// Lists the objects whose names begin with `folder`, with their names.
    pub(crate) async fn list(&self, folder: &str) -> Result<Vec<(String, ObjectMeta)>, StoreError> {
        let client = self.within(self.limits.small, folder, self.reach.client()).await?;
        let path = self.path(folder);
        let mut listing = client.list(Some(&path));
        let mut listed = Vec::new();
        loop {
            let next = async { Ok(listing.next().await) };
            match self.within(self.limits.small, folder, next).await? {
                None => break,
                Some(Ok(_)) if listed.len() >= MOST_LISTED => {
                    let why = "it lists more objects than any store has";
                    return Err(StoreError::away(format!("{folder}: {why}")));
                }
                Some(Ok(meta)) => listed.extend(self.name(&meta.location).map(|name| (name, meta))),
                Some(Err(error)) => return Err(away(folder, &error)),
            }
        }
        listed.sort_by(|(one, _), (other, _)| one.cmp(other));
        listed.dedup_by(|(one, _), (other, _)| one == other);
        Ok(listed)
    }
}
