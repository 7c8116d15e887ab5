//! Reading and writing sealed objects.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use object_store::UpdateVersion;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Opened, Put, Refusal, Store, StoreError,
    backend::{NO_VERSION, Written},
    trust::seal,
};

/// How often it is tried to write what others write too.
const TRIES: usize = 4;

/// A sealed object as it is in the store.
#[derive(Debug)]
pub(crate) struct Lookup {
    pub(crate) opened: Result<Opened, Refusal>,
    pub(crate) version: Option<UpdateVersion>,
    /// As it is in the store; empty if it was too large to be read.
    pub(crate) bytes: Bytes,
}

impl Store {
    /// The sealed object of this name, whether it is used or not; `None` if there is none.
    pub(crate) async fn look_up(&self, name: &str) -> Result<Option<Lookup>, StoreError> {
        let found = match self.backend().read(name, self.backend().limits.sealed_bytes).await {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(None),
            Err(StoreError::Refused { refusal, .. }) => {
                let opened = Err(refusal);
                return Ok(Some(Lookup { opened, version: None, bytes: Bytes::new() }));
            }
            Err(error) => return Err(error),
        };
        let opened = self.trust().verify(name, &found.bytes);
        let opened = opened.and_then(|opened| {
            self.seen().see(name, opened.time)?;
            Ok(opened)
        });
        Ok(Some(Lookup { opened, version: Some(found.version), bytes: found.bytes }))
    }

    /// The sealed object of this name, if it is used.
    pub(crate) async fn open_sealed(&self, name: &str) -> Result<Option<Opened>, StoreError> {
        match self.look_up(name).await? {
            None => Ok(None),
            Some(Lookup { opened: Ok(opened), .. }) => Ok(Some(opened)),
            Some(Lookup { opened: Err(refusal), .. }) => Err(StoreError::refused(name, refusal)),
        }
    }

    /// Seals a value under this name, in place of what is refused and of what `is_kept` does not know as good as it.
    pub(crate) async fn put_sealed<T: Serialize>(
        &self,
        name: &str,
        value: &T,
        is_kept: impl Fn(&Opened) -> bool,
    ) -> Result<Put, StoreError> {
        let payload = serde_json::to_vec(value).map_err(|error| {
            StoreError::refused(
                name,
                Refusal::NotWhatItSays(format!("it can't be written: {error}")),
            )
        })?;
        let key = self.signing_key()?;
        let limit = self.backend().limits.sealed_bytes;
        if payload.len() as u64 > limit {
            let bytes = payload.len() as u64;
            return Err(StoreError::refused(name, Refusal::TooLarge { bytes, limit }));
        }
        let mut ours = None;
        for _ in 0..TRIES {
            let found = self.look_up(name).await?;
            let mut time = now().max(self.seen().newest(name).unwrap_or_default());
            match &found {
                None => {}
                // Its answer to our last attempt was lost.
                Some(found) if ours.as_ref() == Some(&found.bytes) => return Ok(Put::New),
                Some(Lookup { opened: Ok(opened), .. }) if is_kept(opened) => {
                    return Ok(Put::Known);
                }
                // A trusted key has signed it, so a later release wrote it.
                Some(Lookup { opened: Err(refusal @ Refusal::Format(_)), .. }) => {
                    return Err(StoreError::refused(name, refusal.clone()));
                }
                // Later than what it replaces, whatever the clocks say.
                Some(_) => time = time.max(self.seen().newest(name).map_or(0, |seen| seen + 1)),
            }
            let sealed = Bytes::from(seal(key, name, time, &payload)?);
            ours = Some(sealed.clone());
            let written = match found {
                None => self.backend().create(name, sealed).await?,
                Some(Lookup { version, .. }) => {
                    self.backend().replace(name, sealed, version.unwrap_or(NO_VERSION)).await?
                }
            };
            if written == Written::Done {
                // Nobody has seen a newer one.
                let _ = self.seen().see(name, time);
                return Ok(Put::New);
            }
        }
        Err(StoreError::away(format!("{name}: others keep writing it")))
    }
}

/// The value that was sealed under this name.
pub(crate) fn value<T: DeserializeOwned>(name: &str, opened: &Opened) -> Result<T, StoreError> {
    serde_json::from_slice(&opened.payload).map_err(|error| {
        let why = format!("its content is not understood: {error}");
        StoreError::refused(name, Refusal::NotWhatItSays(why))
    })
}

/// In seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
