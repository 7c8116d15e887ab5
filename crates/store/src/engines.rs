//! Engines in the store.

use std::path::Path;

use checkpoint::Id;
use engine::Manifest;
use serde::{Deserialize, Serialize};

use crate::{Put, Store, StoreError};

/// An engine in the store: what `engines/KEY.sealed` holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SharedEngine {
    /// The manifest, without validations: each machine has its own.
    pub manifest: Manifest,
    /// Size of the compressed plan in bytes.
    pub packed_bytes: u64,
}

impl Store {
    /// The engine with this key; `None` if the store has none.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if it is not used, and [`StoreError::Away`].
    #[expect(clippy::unused_async)]
    pub async fn engine(&self, key: &Id) -> Result<Option<SharedEngine>, StoreError> {
        let _ = key;
        todo!()
    }

    /// Writes the engine's plan to `to`, checked and synced. Nothing is at `to` after an error but what was before.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if the plan is missing or not that of the manifest, [`StoreError::Away`], and
    /// [`StoreError::Local`] if it can't be written.
    #[expect(clippy::unused_async)]
    pub async fn fetch_plan(&self, engine: &SharedEngine, to: &Path) -> Result<(), StoreError> {
        let _ = (engine, to);
        todo!()
    }

    /// Puts an engine into the store: its plan first, then the manifest, without validations.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`], [`StoreError::NoKey`], [`StoreError::Away`], and [`StoreError::Local`] if the plan can't
    /// be read or is not that of the manifest.
    #[expect(clippy::unused_async)]
    pub async fn put_engine(&self, manifest: &Manifest, plan: &Path) -> Result<Put, StoreError> {
        let _ = (manifest, plan);
        todo!()
    }
}
