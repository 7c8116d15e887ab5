//! What holds for one GPU model, driver and TensorRT: kernels and validations.

use std::path::Path;

use checkpoint::Id;
use engine::Validation;
use serde::{Deserialize, Serialize};

use crate::{Put, Store, StoreError};

/// The kernels of one engine on one GPU model, driver and TensorRT: what `kernels/MACHINE/KEY.sealed` holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedKernels {
    /// [`engine::kernels_folder`].
    pub machine: String,
    /// The engine's key.
    pub engine: Id,
    /// Size of the kernel cache in bytes.
    pub bytes: u64,
    /// BLAKE3 of the kernel cache.
    pub blake3: Id,
    /// Size of the compressed kernel cache in bytes.
    pub packed_bytes: u64,
}

impl Store {
    /// What validating the engine on such a `machine` ([`engine::kernels_folder`]) found; `None` if nobody has.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if it is not used, also if its GPU and driver are not the machine's, and
    /// [`StoreError::Away`].
    #[expect(clippy::unused_async)]
    pub async fn validation(
        &self,
        machine: &str,
        engine: &Id,
    ) -> Result<Option<Validation>, StoreError> {
        let _ = (machine, engine);
        todo!()
    }

    /// Puts what a validation with this version of TensorRT found, in place of an older one.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`], [`StoreError::NoKey`] and [`StoreError::Away`].
    #[expect(clippy::unused_async)]
    pub async fn put_validation(
        &self,
        tensorrt: &str,
        engine: &Id,
        validation: &Validation,
    ) -> Result<Put, StoreError> {
        let _ = (tensorrt, engine, validation);
        todo!()
    }

    /// Writes the engine's kernels for such a `machine` ([`engine::kernels_folder`]) to `to`, checked and synced, if the
    /// store has them. Nothing is at `to` after an error but what was before.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if they are not used, [`StoreError::Away`], and [`StoreError::Local`] if they can't be
    /// written.
    #[expect(clippy::unused_async)]
    pub async fn fetch_kernels(
        &self,
        machine: &str,
        engine: &Id,
        to: &Path,
    ) -> Result<bool, StoreError> {
        let _ = (machine, engine, to);
        todo!()
    }

    /// Puts the engine's kernels for such a `machine` in place of others.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`], [`StoreError::NoKey`], [`StoreError::Away`], and [`StoreError::Local`] if they can't be
    /// read.
    #[expect(clippy::unused_async)]
    pub async fn put_kernels(
        &self,
        machine: &str,
        engine: &Id,
        kernels: &Path,
    ) -> Result<Put, StoreError> {
        let _ = (machine, engine, kernels);
        todo!()
    }
}
