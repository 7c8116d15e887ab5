//! The store, and how it is opened.

use std::{path::PathBuf, sync::Arc};

use crate::{Address, Limits, SigningKey, StoreError, Trust};

/// A folder or an object store that machines share. A clone is the same store.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

/// Whether something was new to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is in the store now.
    New,
    /// The same, or a newer one, was there already.
    Known,
}

#[derive(Debug)]
struct Inner {
    address: Address,
}

impl Store {
    /// Opens the store at this address. Nothing is asked of it yet: a store that is away is found out later.
    ///
    /// Objects of `trust` are used, and what is written is signed with `key`. The file at `seen` keeps when the newest
    /// object of each name was signed, against replays; without one it is forgotten with this value.
    ///
    /// # Errors
    /// [`StoreError::Away`] if the provider's configuration in the environment is not enough, and
    /// [`StoreError::Local`] if `seen` can't be read.
    pub fn open(
        address: &Address,
        trust: Trust,
        key: Option<SigningKey>,
        seen: Option<PathBuf>,
        limits: Limits,
    ) -> Result<Self, StoreError> {
        let _ = (trust, key, seen, limits);
        Ok(Self { inner: Arc::new(Inner { address: address.clone() }) })
    }

    /// Where it is.
    pub fn address(&self) -> &Address {
        &self.inner.address
    }
}
