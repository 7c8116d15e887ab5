//! Removing what nobody needs.

use std::time::Duration;

use crate::{Kind, Store, StoreError};

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

impl Store {
    /// Removes blobs that nothing names, claims, and kernels and validations of engines that are gone, if they are
    /// older than `policy.fresh`; and engines older than `policy.older_than`. If `dry`, it only says what it would.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`] unless `dry`, and [`StoreError::Away`]: unless every object could be read, nothing is
    /// removed.
    #[expect(clippy::unused_async)]
    pub async fn gc(&self, policy: &GcPolicy, dry: bool) -> Result<Vec<Collected>, StoreError> {
        let _ = (policy, dry);
        todo!()
    }
}
