//! Removing what nobody needs.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use bytes::Bytes;
use checkpoint::Id;
use object_store::{ObjectMeta, UpdateVersion};

use crate::{
    Kind, Refusal, Store, StoreError,
    inventory::{Object, SEALED},
    leftovers::Leftover,
    names,
    sealed::now,
};

/// What may be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GcPolicy {
    /// What is younger stays whatever it is: an upload may be under way, and a listing may be stale.
    pub fresh: Duration,
    /// Engines older than this go too; `None` keeps them all.
    pub older_than: Option<Duration>,
}

impl Default for GcPolicy {
    fn default() -> Self {
        Self { fresh: Duration::from_secs(24 * 3600), older_than: None }
    }
}

/// An object that was removed, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collected {
    /// What it is.
    pub kind: Kind,
    /// Its name below `v1/`.
    pub name: String,
    /// Its size in the store, in bytes.
    pub bytes: u64,
}

/// An object that is written to learn what time it is where the objects are.
const CLOCK: &str = "clock";

/// How many hex digits an id has.
const DIGITS: usize = 64;

/// The versions of sealed objects that were read.
type Versions = HashMap<String, (UpdateVersion, i64)>;

impl Store {
    /// Removes blobs that nothing names, claims, kernels and validations of engines that are gone, and what writers that
    /// were killed have left in a folder, if they are older than `policy.fresh`; and engines older than
    /// `policy.older_than`. If `dry`, it only says what it would.
    ///
    /// What others have sealed counts as well: a blob that any object names stays, whoever signed it.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`] unless `dry`, [`StoreError::Away`], and [`StoreError::Refused`] if an object is too
    /// large to be read: unless every object could be read, nothing is removed.
    pub async fn gc(&self, policy: &GcPolicy, dry: bool) -> Result<Vec<Collected>, StoreError> {
        if !dry {
            self.writable()?;
        }
        let now = if dry { now() } else { self.their_time().await? };
        let is_older = |meta: &ObjectMeta, than: Duration| age(now, meta) > than;
        let (kept, mut collected, versions) = self.sealed_objects(policy, &is_older).await?;
        let mut named = HashSet::new();
        for object in &kept {
            named.extend(names_in(object)?);
        }
        let mut blobs = self.listed(Kind::Blob).await?;
        blobs.retain(|(_, id, meta)| is_older(meta, policy.fresh) && !named.contains(id));
        if !blobs.is_empty() {
            // Some may have been named since.
            let named = self.named_since(&versions).await?;
            blobs.retain(|(_, id, _)| !named.contains(id));
        }
        let mut claims = self.listed(Kind::Claim).await?;
        claims.retain(|(_, _, meta)| is_older(meta, policy.fresh));
        for (kind, gone) in [(Kind::Blob, blobs), (Kind::Claim, claims)] {
            collected.extend(gone.into_iter().map(|(name, _, meta)| Collected {
                kind,
                name,
                bytes: meta.size,
            }));
        }
        let mut leftovers = self.backend().leftovers().await?;
        leftovers.retain(|file| now.saturating_sub(file.written) > policy.fresh.as_secs());
        if !dry {
            // What names blobs first, then the blobs.
            for object in &collected {
                self.backend().delete(&object.name).await?;
                if object.kind == Kind::Claim
                    && let Some((folder, _)) = object.name.rsplit_once('/')
                {
                    self.backend().reach.remove_folder(folder).await;
                }
            }
            for file in &leftovers {
                self.backend().remove_leftover(&file.name).await?;
            }
        }
        collected.extend(
            leftovers.into_iter().map(|Leftover { kind, name, bytes, .. }| Collected {
                kind,
                name,
                bytes,
            }),
        );
        Ok(collected)
    }

    /// The sealed objects that stay, those that go, and the versions of all.
    async fn sealed_objects(
        &self,
        policy: &GcPolicy,
        is_older: &(dyn Fn(&ObjectMeta, Duration) -> bool + Sync),
    ) -> Result<(Vec<Object>, Vec<Collected>, Versions), StoreError> {
        let (mut kept, mut collected, mut versions) = (Vec::new(), Vec::new(), Versions::new());
        let mut engines = HashSet::new();
        for kind in SEALED {
            for object in self.read_all(kind).await? {
                versions.insert(object.name.clone(), version(&object.meta));
                let is_fresh = !is_older(&object.meta, policy.fresh);
                let goes = !is_fresh
                    && match kind {
                        Kind::Engine => {
                            policy.older_than.is_some_and(|than| is_older(&object.meta, than))
                        }
                        Kind::Validation | Kind::Kernels => !engines.contains(&object.id),
                        Kind::Content | Kind::Blob | Kind::Claim => false,
                    };
                if goes && (kind == Kind::Engine || !self.is_there(&object.id, &collected).await?) {
                    let Object { name, meta, .. } = object;
                    collected.push(Collected { kind, name, bytes: meta.size });
                    continue;
                }
                if kind == Kind::Engine {
                    engines.insert(object.id);
                }
                kept.push(object);
            }
        }
        Ok((kept, collected, versions))
    }

    /// Whether there is an engine that the listing may have left out.
    async fn is_there(&self, key: &Id, collected: &[Collected]) -> Result<bool, StoreError> {
        let name = names::engine(key);
        if collected.iter().any(|gone| gone.name == name) {
            return Ok(false);
        }
        match self.backend().head(&name).await {
            Ok(found) => Ok(found.is_some()),
            Err(StoreError::Refused { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The ids in sealed objects that came or changed since these versions were read.
    async fn named_since(&self, versions: &Versions) -> Result<HashSet<Id>, StoreError> {
        let mut named = HashSet::new();
        for kind in SEALED {
            let mut listed = self.listed(kind).await?;
            listed.retain(|(name, _, meta)| versions.get(name) != Some(&version(meta)));
            for object in self.read_listed(kind, listed).await? {
                named.extend(names_in(&object)?);
            }
        }
        Ok(named)
    }

    /// The time by which objects are dated there, in seconds since 1970: this machine's clock may be days ahead.
    async fn their_time(&self) -> Result<u64, StoreError> {
        self.backend().overwrite(CLOCK, Bytes::from_static(b"What time is it here?\n")).await?;
        let written = self.backend().head(CLOCK).await?;
        self.backend().delete(CLOCK).await?;
        match written {
            Some(written) => Ok(dated(&written)),
            // Another that asks has deleted it.
            None => Err(StoreError::away("something else removes objects at the same time")),
        }
    }
}

fn version(meta: &ObjectMeta) -> (UpdateVersion, i64) {
    let ObjectMeta { e_tag, version, .. } = meta.clone();
    (UpdateVersion { e_tag, version }, meta.last_modified.timestamp_millis())
}

/// When it was written, in seconds since 1970.
fn dated(meta: &ObjectMeta) -> u64 {
    meta.last_modified.timestamp().try_into().unwrap_or_default()
}

fn age(now: u64, meta: &ObjectMeta) -> Duration {
    Duration::from_secs(now.saturating_sub(dated(meta)))
}

/// Every id that an object names, in whatever field and whether it is signed: nothing that anybody may need is removed.
fn names_in(object: &Object) -> Result<HashSet<Id>, StoreError> {
    if let Err(refusal @ Refusal::TooLarge { .. }) = &object.lookup.opened {
        return Err(StoreError::refused(&object.name, refusal.clone()));
    }
    let words = object.lookup.bytes.split(|byte| !byte.is_ascii_hexdigit());
    let ids =
        words.filter(|word| word.len() == DIGITS).filter_map(|word| str::from_utf8(word).ok());
    Ok(ids.filter_map(|id| id.parse().ok()).collect())
}
