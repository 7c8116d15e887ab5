//! Who reads a file for its hash.

use std::{
    process,
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

use bytes::Bytes;
use checkpoint::Id;

use crate::{Store, StoreError, backend::Written, names};

/// Whose claim it is, with its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// We read the file.
    Ours(u32),
    /// Another machine does. If the claim with this number is still the newest after the caller's time for it, counted
    /// from when the caller first saw it, it has lapsed.
    Theirs(u32),
}

/// More claims of one file than machines take over from one another.
const MOST: u32 = 10_000;

/// More than a claim of ours takes.
const CLAIM_BYTES: u64 = 4096;

/// Tells the claims of one process from each other.
static NEXT: AtomicU64 = AtomicU64::new(0);

impl Store {
    /// Claims the file of this fingerprint for `who`. `past` is the number of a claim that the caller saw lapse. Of several
    /// that claim at once, exactly one gets [`Claim::Ours`]; each number is dealt out once.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`], and [`StoreError::Away`], also where the provider can't create without overwriting.
    pub async fn claim(
        &self,
        fingerprint: &Id,
        who: &str,
        past: Option<u32>,
    ) -> Result<Claim, StoreError> {
        self.writable()?;
        let mut number = past.map_or(0, |past| past.saturating_add(1));
        // Whoever waits asks again and again, and a write that fails costs more than a look.
        if !self.is_claimed(fingerprint, number).await?
            && self.is_ours(fingerprint, number, who).await?
        {
            // Whoever had it before us may just have put what it found.
            self.backend().reach.forget_absence(&names::content(fingerprint)).await;
            return Ok(Claim::Ours(number));
        }
        while number < MOST && self.is_claimed(fingerprint, number + 1).await? {
            number += 1;
        }
        Ok(Claim::Theirs(number))
    }

    /// Whether this claim could be made.
    async fn is_ours(&self, fingerprint: &Id, number: u32, who: &str) -> Result<bool, StoreError> {
        let name = names::claim(fingerprint, number);
        // No two claims are alike, so that ours is known when the answer to it was lost.
        let count = NEXT.fetch_add(1, Ordering::Relaxed);
        let unique = format!("{:?} {} {count}", SystemTime::now(), process::id());
        let claim = Bytes::from(format!("{who}\n{}\n", blake3::hash(unique.as_bytes())));
        if self.backend().create_alone(&name, claim.clone()).await? == Written::Done {
            return Ok(true);
        }
        match self.backend().read(&name, CLAIM_BYTES).await {
            Ok(there) => Ok(there.is_some_and(|there| there.bytes == claim)),
            Err(StoreError::Refused { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Deletes the claims of this fingerprint, once its content was put.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`] and [`StoreError::Away`].
    pub async fn release(&self, fingerprint: &Id) -> Result<(), StoreError> {
        self.writable()?;
        let mut end = 0;
        while end < MOST && self.is_claimed(fingerprint, end).await? {
            end += 1;
        }
        // The first one last: while it is there, nobody begins anew.
        for number in (0..end).rev() {
            self.backend().delete(&names::claim(fingerprint, number)).await?;
        }
        self.backend().reach.remove_folder(&names::claims(fingerprint)).await;
        Ok(())
    }

    async fn is_claimed(&self, fingerprint: &Id, number: u32) -> Result<bool, StoreError> {
        match self.backend().head(&names::claim(fingerprint, number)).await {
            Ok(found) => Ok(found.is_some()),
            // Something that is no file has the name.
            Err(StoreError::Refused { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }
}
