//! Engines in the store.

use std::path::Path;

use checkpoint::Id;
use engine::Manifest;
use serde::{Deserialize, Serialize};

use crate::{
    Put, Refusal, Store, StoreError,
    blob::Lying,
    names,
    pack::{Plain, pack},
    sealed::value,
};

/// An engine in the store: what `engines/KEY.sealed` holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SharedEngine {
    /// The manifest, without validations: each machine has its own.
    pub manifest: Manifest,
    /// Size of the compressed plan in bytes.
    pub packed_bytes: u64,
}

impl SharedEngine {
    pub(crate) fn plan(&self) -> Plain {
        plan_of(&self.manifest)
    }

    /// What keeps it from being the engine with this key.
    pub(crate) fn check(&self, key: &Id) -> Result<(), Refusal> {
        let why = if self.manifest.key != *key {
            format!("it is the manifest of {}", self.manifest.key)
        } else if !self.manifest.is_current() {
            format!(
                "its manifest has format {}, which this release does not use",
                self.manifest.format
            )
        } else if self.manifest.spec.key() != *key {
            "its key is not that of what it says was built".to_owned()
        } else {
            return Ok(());
        };
        Err(Refusal::NotWhatItSays(why))
    }
}

fn plan_of(manifest: &Manifest) -> Plain {
    Plain { bytes: manifest.bytes, blake3: manifest.blake3 }
}

impl Store {
    /// The engine with this key; `None` if the store has none.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if it is not used, and [`StoreError::Away`].
    pub async fn engine(&self, key: &Id) -> Result<Option<SharedEngine>, StoreError> {
        let name = names::engine(key);
        let Some(opened) = self.open_sealed(&name).await? else { return Ok(None) };
        let mut engine: SharedEngine = value(&name, &opened)?;
        engine.check(key).map_err(|refusal| StoreError::refused(&name, refusal))?;
        engine.manifest.validations.clear();
        Ok(Some(engine))
    }

    /// Writes the engine's plan to `to`, checked and synced. Nothing is at `to` after an error but what was before; a
    /// process that is killed leaves a file for [`crate::sweep`] in the same folder.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if the plan is missing or not that of the manifest, [`StoreError::Away`], and
    /// [`StoreError::Local`] if it can't be written.
    pub async fn fetch_plan(&self, engine: &SharedEngine, to: &Path) -> Result<(), StoreError> {
        self.backend().fetch(&engine.plan(), engine.packed_bytes, to).await
    }

    /// Puts an engine into the store: its plan first, then the manifest, without validations. A plan in the store that
    /// is damaged is replaced, for which it is read.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`], [`StoreError::NoKey`], [`StoreError::Away`], [`StoreError::Local`] if the plan can't be
    /// read or is not that of the manifest, and [`StoreError::Refused`] if a later release has put it, or if it is none
    /// that this release would use.
    pub async fn put_engine(&self, manifest: &Manifest, plan: &Path) -> Result<Put, StoreError> {
        self.signing_key()?;
        let name = names::engine(&manifest.key);
        let manifest = Manifest { validations: Vec::new(), ..manifest.clone() };
        let known = match self.engine(&manifest.key).await {
            Ok(known) => known,
            Err(StoreError::Refused { .. }) => None,
            Err(error) => return Err(error),
        };
        // Two builds of one engine differ in some bytes, and either will do.
        if let Some(known) = &known
            && let Lying::Good(packed_bytes) = self.backend().look(&known.plan()).await?
            && packed_bytes == known.packed_bytes
        {
            return Ok(Put::Known);
        }
        let packed = pack(plan, plan_of(&manifest)).await?;
        let mut engine = SharedEngine { manifest, packed_bytes: 0 };
        engine
            .check(&engine.manifest.key)
            .map_err(|refusal| StoreError::refused(&name, refusal))?;
        self.put_with_blob(&name, &packed, |packed_bytes| {
            engine.packed_bytes = packed_bytes;
            engine.clone()
        })
        .await
    }
}
