//! What is in a store, for people.

use crate::{Refusal, Store, StoreError};

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `engines/KEY.sealed`
    Engine,
    /// `validations/MACHINE/KEY.sealed`
    Validation,
    /// `kernels/MACHINE/KEY.sealed`
    Kernels,
    /// `contents/EVIDENCE.sealed`
    Content,
    /// `blobs/BLAKE3.zst`
    Blob,
    /// `claims/EVIDENCE/N`
    Claim,
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

impl Store {
    /// Lists the sealed objects, by kind and name.
    ///
    /// # Errors
    /// [`StoreError::Away`], also where the provider can't list.
    #[expect(clippy::unused_async)]
    pub async fn list(&self) -> Result<Vec<Listed>, StoreError> {
        todo!()
    }

    /// Checks each sealed object, and that the blobs which they name are there in the size that they say. If `whole`,
    /// each blob is read and checked too.
    ///
    /// # Errors
    /// [`StoreError::Away`], also where the provider can't list.
    #[expect(clippy::unused_async)]
    pub async fn verify(&self, whole: bool) -> Result<Vec<Verdict>, StoreError> {
        let _ = whole;
        todo!()
    }
}
