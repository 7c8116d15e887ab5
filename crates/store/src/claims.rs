//! Who reads a file for its hash.

use checkpoint::Id;

use crate::{Store, StoreError};

/// Whose claim it is, with its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// We read the file.
    Ours(u32),
    /// Another machine does. If the claim with this number is still the newest after the caller's time for it, counted
    /// from when the caller first saw it, it has lapsed.
    Theirs(u32),
}

impl Store {
    /// Claims the file of this evidence for `who`. `past` is the number of a claim that the caller saw lapse. Of several
    /// that claim at once, exactly one gets [`Claim::Ours`]; each number is dealt out once.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`], and [`StoreError::Away`], also where the provider can't create without overwriting.
    #[expect(clippy::unused_async)]
    pub async fn claim(
        &self,
        evidence: &Id,
        who: &str,
        past: Option<u32>,
    ) -> Result<Claim, StoreError> {
        let _ = (evidence, who, past);
        todo!()
    }

    /// Deletes the claims of this evidence, once its content was put.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`] and [`StoreError::Away`].
    #[expect(clippy::unused_async)]
    pub async fn release(&self, evidence: &Id) -> Result<(), StoreError> {
        let _ = evidence;
        todo!()
    }
}
