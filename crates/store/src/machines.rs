//! What holds for one GPU model, driver and TensorRT: kernels and validations.

use std::path::Path;

use checkpoint::Id;
use engine::{Validation, kernels_folder};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Kind, Opened, Put, Refusal, Store, StoreError,
    blob::Lying,
    names,
    pack::{Packed, Plain, measure, pack},
    sealed::value,
};

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

impl SharedKernels {
    pub(crate) fn cache(&self) -> Plain {
        Plain { bytes: self.bytes, blake3: self.blake3 }
    }

    /// What keeps them from being those of this engine and machine.
    pub(crate) fn check(&self, machine: &str, engine: &Id) -> Result<(), Refusal> {
        if self.machine == machine && self.engine == *engine {
            return Ok(());
        }
        let why = format!("they are the kernels of {} for {}", self.engine, self.machine);
        Err(Refusal::NotWhatItSays(why))
    }
}

/// What keeps a validation from being of this machine.
pub(crate) fn check_validation(validation: &Validation, machine: &str) -> Result<(), Refusal> {
    let Validation { gpu, driver, .. } = validation;
    if machine.starts_with(&kernels_folder(gpu, driver, "")) {
        return Ok(());
    }
    Err(Refusal::NotWhatItSays(format!("it is of a {gpu} with driver {driver}")))
}

impl Store {
    /// What validating the engine on such a `machine` ([`engine::kernels_folder`]) found; `None` if nobody has.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if it is not used, also if its GPU and driver are not the machine's, and
    /// [`StoreError::Away`].
    pub async fn validation(
        &self,
        machine: &str,
        engine: &Id,
    ) -> Result<Option<Validation>, StoreError> {
        let name = names::of_machine(Kind::Validation, machine, engine)?;
        let Some(opened) = self.open_sealed(&name).await? else { return Ok(None) };
        let validation = value(&name, &opened)?;
        check_validation(&validation, machine)
            .map_err(|refusal| StoreError::refused(&name, refusal))?;
        Ok(Some(validation))
    }

    /// Puts what a validation with this version of TensorRT found, in place of an older one.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`], [`StoreError::NoKey`], [`StoreError::Away`], and [`StoreError::Refused`] if a later
    /// release has put one.
    pub async fn put_validation(
        &self,
        tensorrt: &str,
        engine: &Id,
        validation: &Validation,
    ) -> Result<Put, StoreError> {
        let machine = kernels_folder(&validation.gpu, &validation.driver, tensorrt);
        let name = names::of_machine(Kind::Validation, &machine, engine)?;
        let is_kept = |opened: &Opened| {
            serde_json::from_slice(&opened.payload).is_ok_and(|known: Validation| {
                known.validated_at >= validation.validated_at
                    && check_validation(&known, &machine).is_ok()
            })
        };
        self.put_sealed(&name, validation, is_kept).await
    }

    /// Writes the engine's kernels for such a `machine` ([`engine::kernels_folder`]) to `to`, checked and synced, if the
    /// store has them. Nothing is at `to` after an error but what was before; a process that is killed leaves a file
    /// for [`crate::sweep`] in the same folder.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if they are not used, [`StoreError::Away`], and [`StoreError::Local`] if they can't be
    /// written.
    pub async fn fetch_kernels(
        &self,
        machine: &str,
        engine: &Id,
        to: &Path,
    ) -> Result<bool, StoreError> {
        let Some(kernels) = self.kernels(machine, engine).await? else { return Ok(false) };
        self.backend().fetch(&kernels.cache(), kernels.packed_bytes, to).await?;
        Ok(true)
    }

    async fn kernels(
        &self,
        machine: &str,
        engine: &Id,
    ) -> Result<Option<SharedKernels>, StoreError> {
        let name = names::of_machine(Kind::Kernels, machine, engine)?;
        let Some(opened) = self.open_sealed(&name).await? else { return Ok(None) };
        let kernels: SharedKernels = value(&name, &opened)?;
        kernels.check(machine, engine).map_err(|refusal| StoreError::refused(&name, refusal))?;
        Ok(Some(kernels))
    }

    /// Puts the engine's kernels for such a `machine` in place of others. Kernels in the store that are damaged are
    /// replaced, for which they are read.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`], [`StoreError::NoKey`], [`StoreError::Away`], [`StoreError::Local`] if they can't be
    /// read, and [`StoreError::Refused`] if a later release has put some.
    pub async fn put_kernels(
        &self,
        machine: &str,
        engine: &Id,
        kernels: &Path,
    ) -> Result<Put, StoreError> {
        self.signing_key()?;
        let name = names::of_machine(Kind::Kernels, machine, engine)?;
        let cache = measure(kernels).await?;
        let known = match self.kernels(machine, engine).await {
            Ok(known) => known,
            Err(StoreError::Refused { .. }) => None,
            Err(error) => return Err(error),
        };
        if let Some(known) = known
            && known.cache() == cache
            && let Lying::Good(packed_bytes) = self.backend().look(&cache).await?
            && packed_bytes == known.packed_bytes
        {
            return Ok(Put::Known);
        }
        let packed = pack(kernels, cache).await?;
        self.put_with_blob(&name, &packed, |packed_bytes| SharedKernels {
            machine: machine.to_owned(),
            engine: *engine,
            bytes: cache.bytes,
            blake3: cache.blake3,
            packed_bytes,
        })
        .await
    }

    /// Puts a blob, then the object that names it, made from the blob's compressed size.
    pub(crate) async fn put_with_blob<T: Serialize + DeserializeOwned + PartialEq>(
        &self,
        name: &str,
        packed: &Packed,
        mut naming: impl FnMut(u64) -> T,
    ) -> Result<Put, StoreError> {
        let mut put = Put::Known;
        // A blob that nothing named is collected once it is old, perhaps just before it is named.
        for _ in 0..2 {
            let value = naming(self.backend().put_blob(packed).await?);
            let is_kept = |opened: &Opened| {
                serde_json::from_slice(&opened.payload).is_ok_and(|known: T| known == value)
            };
            if self.put_sealed(name, &value, is_kept).await? == Put::New {
                put = Put::New;
            }
            if self.backend().head(&names::blob(&packed.plain.blake3)).await?.is_some() {
                break;
            }
        }
        Ok(put)
    }
}
