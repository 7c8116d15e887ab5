//! Whose objects are used.

use crate::{PublicKey, Refusal};

/// The keys whose objects are used.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    keys: Vec<PublicKey>,
}

/// A sealed object that a trusted key has signed under its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// What was sealed.
    pub payload: Vec<u8>,
    /// When, in seconds since 1970, by the signer's clock.
    pub time: u64,
    /// The id of the key that signed it.
    pub signer: String,
}

impl Trust {
    /// Only these count. Without any, every object is refused.
    pub fn new(keys: Vec<PublicKey>) -> Self {
        Self { keys }
    }

    /// Opens the sealed object of this name below `v1/`. What was seen before is not known here: see
    /// [`Refusal::Replayed`].
    ///
    /// # Errors
    /// Why it is not used.
    pub fn verify(&self, name: &str, sealed: &[u8]) -> Result<Opened, Refusal> {
        let _ = (&self.keys, name, sealed);
        todo!()
    }
}
