//! What is in a store, for people.

use std::collections::{BTreeMap, HashMap};

use checkpoint::Id;
use engine::Validation;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::ObjectMeta;
use serde::de::IgnoredAny;

use crate::{
    Opened, Refusal, SharedEngine, SharedKernels, Store, StoreError,
    blob::{Lying, missing, other_size},
    machines::check_validation,
    names,
    pack::Plain,
    sealed::{Lookup, value},
};

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `engines/KEY.sealed`
    Engine,
    /// `validations/MACHINE/KEY.sealed`
    Validation,
    /// `kernels/MACHINE/KEY.sealed`
    Kernels,
    /// `contents/FINGERPRINT.sealed`
    Content,
    /// `blobs/BLAKE3.zst`
    Blob,
    /// `claims/FINGERPRINT/N`
    Claim,
}

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Self; 6] =
        [Self::Engine, Self::Validation, Self::Kernels, Self::Content, Self::Blob, Self::Claim];
}

/// A sealed object in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// What it is.
    pub kind: Kind,
    /// Its name below `v1/`.
    pub name: String,
    /// The id of the key that signed it; absent if it is refused.
    pub signer: Option<String>,
    /// When it was signed, in seconds since 1970; absent if it is refused.
    pub time: Option<u64>,
    /// What it takes in the store in bytes, with the blob that it names.
    pub bytes: u64,
    /// Why it is not used.
    pub refusal: Option<Refusal>,
}

/// Whether an object is as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What it is.
    pub kind: Kind,
    /// Its name below `v1/`.
    pub name: String,
    /// Why it is not used; absent if it is.
    pub refusal: Option<Refusal>,
}

/// The kinds of sealed objects.
pub(crate) const SEALED: [Kind; 4] = [Kind::Engine, Kind::Validation, Kind::Kernels, Kind::Content];

/// How many objects are read at once.
const AT_ONCE: usize = 8;

/// A sealed object that was listed, and read.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    /// The engine's key, or the fingerprint.
    pub(crate) id: Id,
    pub(crate) meta: ObjectMeta,
    pub(crate) lookup: Lookup,
}

/// The blob that an object names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Named {
    plain: Plain,
    packed_bytes: u64,
}

impl Object {
    /// What was opened, and the blob that it names.
    fn checked(&self) -> Result<(&Opened, Option<Named>), Refusal> {
        let opened = self.lookup.opened.as_ref().map_err(Clone::clone)?;
        let named = named(self.kind, &self.name, &self.id, opened);
        match named {
            Ok(named) => Ok((opened, named)),
            Err(StoreError::Refused { refusal, .. }) => Err(refusal),
            Err(other) => Err(Refusal::NotWhatItSays(other.to_string())),
        }
    }
}

/// The blob that what was opened names, if it is what its name says.
fn named(kind: Kind, name: &str, id: &Id, opened: &Opened) -> Result<Option<Named>, StoreError> {
    let machine = || name.split('/').nth(1).unwrap_or_default();
    let refused = |refusal| StoreError::refused(name, refusal);
    match kind {
        Kind::Engine => {
            let engine: SharedEngine = value(name, opened)?;
            engine.check(id).map_err(refused)?;
            Ok(Some(Named { plain: engine.plan(), packed_bytes: engine.packed_bytes }))
        }
        Kind::Kernels => {
            let kernels: SharedKernels = value(name, opened)?;
            kernels.check(machine(), id).map_err(refused)?;
            Ok(Some(Named { plain: kernels.cache(), packed_bytes: kernels.packed_bytes }))
        }
        Kind::Validation => {
            let validation: Validation = value(name, opened)?;
            check_validation(&validation, machine()).map_err(refused)?;
            Ok(None)
        }
        Kind::Content => value::<IgnoredAny>(name, opened).map(|_| None),
        Kind::Blob | Kind::Claim => Ok(None),
    }
}

impl Store {
    /// Lists the sealed objects, by kind and name.
    ///
    /// # Errors
    /// [`StoreError::Away`], also where the provider can't list.
    pub async fn list(&self) -> Result<Vec<Listed>, StoreError> {
        let blobs = self.listed(Kind::Blob).await?;
        let blobs: HashMap<Id, u64> =
            blobs.into_iter().map(|(_, id, meta)| (id, meta.size)).collect();
        let mut listed = Vec::new();
        for kind in SEALED {
            for object in self.read_all(kind).await? {
                let checked = object.checked();
                let refusal = checked.as_ref().err().cloned();
                let (opened, named) = checked.ok().unzip();
                let blob = named.flatten().and_then(|named| blobs.get(&named.plain.blake3));
                listed.push(Listed {
                    kind,
                    signer: opened.map(|opened| opened.signer.clone()),
                    time: opened.map(|opened| opened.time),
                    bytes: object.meta.size + blob.copied().unwrap_or_default(),
                    refusal,
                    name: object.name,
                });
            }
        }
        Ok(listed)
    }

    /// Checks each sealed object, and that the blobs which they name are there in the size that they say. If `whole`,
    /// each of those blobs is read and checked too.
    ///
    /// # Errors
    /// [`StoreError::Away`], also where the provider can't list.
    pub async fn verify(&self, whole: bool) -> Result<Vec<Verdict>, StoreError> {
        let mut verdicts = Vec::new();
        let mut blobs: BTreeMap<String, Named> = BTreeMap::new();
        for kind in SEALED {
            for object in self.read_all(kind).await? {
                let checked = object.checked();
                if let Ok((_, Some(named))) = &checked {
                    blobs.insert(names::blob(&named.plain.blake3), *named);
                }
                let refusal = checked.err();
                verdicts.push(Verdict { kind, name: object.name, refusal });
            }
        }
        let of_blobs = stream::iter(blobs).map(async |(name, named)| {
            let refusal = self.blob_trouble(&name, &named, whole).await?;
            Ok::<_, StoreError>(Verdict { kind: Kind::Blob, name, refusal })
        });
        verdicts.extend(of_blobs.buffered(AT_ONCE).try_collect::<Vec<_>>().await?);
        Ok(verdicts)
    }

    async fn blob_trouble(
        &self,
        name: &str,
        named: &Named,
        whole: bool,
    ) -> Result<Option<Refusal>, StoreError> {
        let bytes = if whole {
            match self.backend().look(&named.plain).await? {
                Lying::Good(bytes) => Some(bytes),
                Lying::Bad(_, refusal) => return Ok(Some(refusal)),
                Lying::Absent => None,
            }
        } else {
            match self.backend().head(name).await {
                Ok(meta) => meta.map(|meta| meta.size),
                Err(StoreError::Refused { refusal, .. }) => return Ok(Some(refusal)),
                Err(error) => return Err(error),
            }
        };
        Ok(match bytes {
            None => Some(missing()),
            Some(bytes) if bytes != named.packed_bytes => {
                Some(other_size(bytes, named.packed_bytes))
            }
            Some(_) => None,
        })
    }

    /// The objects of a kind as they are listed, without what has no name of ours.
    pub(crate) async fn listed(
        &self,
        kind: Kind,
    ) -> Result<Vec<(String, Id, ObjectMeta)>, StoreError> {
        let listed = self.backend().list(names::folder(kind)).await?;
        let ours = listed.into_iter().filter_map(|(name, meta)| {
            let id = names::parse(kind, &name)?;
            Some((name, id, meta))
        });
        Ok(ours.collect())
    }

    /// All sealed objects of a kind. What goes while it is listed is left out.
    pub(crate) async fn read_all(&self, kind: Kind) -> Result<Vec<Object>, StoreError> {
        let listed = self.listed(kind).await?;
        self.read_listed(kind, listed).await
    }

    pub(crate) async fn read_listed(
        &self,
        kind: Kind,
        listed: Vec<(String, Id, ObjectMeta)>,
    ) -> Result<Vec<Object>, StoreError> {
        let read = stream::iter(listed).map(async |(name, id, meta)| {
            let lookup = self.look_up(&name).await?;
            Ok::<_, StoreError>(lookup.map(|lookup| Object { kind, name, id, meta, lookup }))
        });
        let read: Vec<_> = read.buffered(AT_ONCE).try_collect().await?;
        Ok(read.into_iter().flatten().collect())
    }
}
