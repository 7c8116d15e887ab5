//! The store, and how it is opened.

use std::{path::PathBuf, sync::Arc};

use checkpoint::Id;

use crate::{Address, Limits, SigningKey, StoreError, Trust, backend::Backend, names, seen::Seen};

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
    backend: Backend,
    trust: Trust,
    key: Option<SigningKey>,
    seen: Seen,
}

impl Store {
    /// Opens the store at this address. Nothing is asked of it yet: a store that is away is found out later.
    ///
    /// Objects of `trust` are used, and what is written is signed with `key`. The file at `seen` keeps when the newest
    /// object of each name was signed, against replays; without one it is forgotten with the last clone. It must be run
    /// within tokio, whose time is used.
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
        let backend = Backend::open(address, limits)?;
        let seen = Seen::open(seen)?;
        let address = address.clone();
        Ok(Self { inner: Arc::new(Inner { address, backend, trust, key, seen }) })
    }

    /// One that is reached in another way, for tests.
    #[cfg(test)]
    pub(crate) fn of(
        backend: Backend,
        trust: Trust,
        key: Option<SigningKey>,
        seen: Option<PathBuf>,
    ) -> Self {
        let address = "file:///test".parse().unwrap();
        let seen = Seen::open(seen).unwrap();
        Self { inner: Arc::new(Inner { address, backend, trust, key, seen }) }
    }

    /// Where it is.
    pub fn address(&self) -> &Address {
        &self.inner.address
    }

    pub(crate) fn backend(&self) -> &Backend {
        &self.inner.backend
    }

    pub(crate) fn trust(&self) -> &Trust {
        &self.inner.trust
    }

    pub(crate) fn seen(&self) -> &Seen {
        &self.inner.seen
    }

    /// Whether it answers: asks for what is in no store.
    ///
    /// # Errors
    /// [`StoreError::Away`], or [`StoreError::Refused`] if something odd is there.
    pub async fn probe(&self) -> Result<(), StoreError> {
        let nothing = names::engine(&Id::from([0; 32]));
        self.backend().head(&nothing).await.map(|_| ())
    }

    /// The key to sign with.
    ///
    /// # Errors
    /// That nothing can be written there, or that there is no key.
    pub(crate) fn signing_key(&self) -> Result<&SigningKey, StoreError> {
        self.writable()?;
        self.inner.key.as_ref().ok_or(StoreError::NoKey)
    }

    /// # Errors
    /// That nothing can be written there.
    pub(crate) fn writable(&self) -> Result<(), StoreError> {
        if self.address().is_read_only() { Err(StoreError::ReadOnly) } else { Ok(()) }
    }
}
