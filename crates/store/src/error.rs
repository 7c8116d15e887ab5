//! What keeps an object from being used, and what keeps the store from being asked.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::address::plain;

/// Why an object is not used, though it was read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It does not begin as a minisign signature.
    #[error("it is not signed")]
    Unsigned,
    /// Its signature is by a key that is not trusted here.
    #[error("it is signed by key {key}, which is not trusted here")]
    Foreign {
        /// As minisign prints it: 16 hex digits.
        key: String,
    },
    /// The signature does not fit what it stands above.
    #[error("its signature does not fit: it was changed or damaged")]
    Damaged,
    /// The signature is of minisign's first kind, which is not over a hash.
    #[error("its signature is of minisign's legacy kind")]
    Legacy,
    /// It was signed under another name.
    #[error("it was signed as {says}")]
    Swapped {
        /// The name that it was signed under.
        says: String,
    },
    /// A newer one was seen under this name.
    #[error(
        "it was signed at {signed}, and one signed at {seen} was seen before (seconds since 1970)"
    )]
    Replayed {
        /// When it was signed, in seconds since 1970.
        signed: u64,
        /// When the newest one was signed that was seen here, in seconds since 1970.
        seen: u64,
    },
    /// It has another format, written by another release.
    #[error("its format is {0}, which this release does not know")]
    Format(u32),
    /// It is larger than what is read.
    #[error("it has {bytes} bytes, and {limit} are read at most")]
    TooLarge {
        /// Its size, or as much of it as was read.
        bytes: u64,
        /// The most that is read.
        limit: u64,
    },
    /// It ends too early.
    #[error("it ends too early")]
    Truncated,
    /// Its content is not what its name, its signature or its manifest says.
    #[error("{0}")]
    NotWhatItSays(String),
}

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store can't be reached, is too slow, or does not let us.
    #[error("the store cannot be used: {reason}")]
    Away {
        /// In words, without credentials.
        reason: String,
    },
    /// An object in the store is not used.
    #[error("{object} in the store is refused: {refusal}")]
    Refused {
        /// Its name below `v1/`.
        object: String,
        /// Why.
        refusal: Refusal,
    },
    /// The address can only be read from.
    #[error("the store is read-only at an http:// or https:// address")]
    ReadOnly,
    /// What is written has to be signed.
    #[error("there is no key to sign with")]
    NoKey,
    /// A file of this machine can't be read or written.
    #[error("{}: {error}", path.display())]
    Local {
        /// The file.
        path: PathBuf,
        /// What happened.
        #[source]
        error: io::Error,
    },
}

impl StoreError {
    pub(crate) fn local(path: &Path, error: io::Error) -> Self {
        Self::Local { path: path.to_owned(), error }
    }

    pub(crate) fn refused(object: &str, refusal: Refusal) -> Self {
        Self::Refused { object: object.to_owned(), refusal }
    }

    pub(crate) fn away(reason: impl AsRef<str>) -> Self {
        Self::Away { reason: plain(reason.as_ref()) }
    }
}
