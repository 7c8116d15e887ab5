//! Keys in minisign's formats.

use std::{fmt, path::Path, str::FromStr};

use crate::StoreError;

/// A minisign secret key without a password.
#[derive(Clone)]
pub struct SigningKey {
    secret: minisign::SecretKey,
    public: PublicKey,
}

impl SigningKey {
    /// Reads the key in the file at `path`.
    ///
    /// # Errors
    /// [`StoreError::Local`] if it can't be read, if others than its owner can read it, if it is no secret key of
    /// minisign's, and if it has a password.
    pub fn read(path: &Path) -> Result<Self, StoreError> {
        let _ = path;
        todo!()
    }

    /// Makes a key, and writes it to a new file that only its owner can read.
    ///
    /// # Errors
    /// [`StoreError::Local`] if it can't be written, or if there is something at `path`.
    pub fn generate(path: &Path) -> Result<Self, StoreError> {
        let _ = path;
        todo!()
    }

    /// The other half, which others trust.
    pub fn public(&self) -> &PublicKey {
        let _ = &self.secret;
        &self.public
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public.id())
    }
}

/// A minisign public key: in text, the line that minisign prints.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    bytes: [u8; 42],
}

/// The text is no public key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a public key is a line of 56 characters that begins with RW, as minisign prints it")]
pub struct BadKey;

impl PublicKey {
    /// The key's number as minisign prints it: 16 hex digits.
    pub fn id(&self) -> String {
        let _ = self.bytes;
        todo!()
    }
}

impl FromStr for PublicKey {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        let _ = text;
        todo!()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = f;
        todo!()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}
