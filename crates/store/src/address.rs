//! Where a store is.

use std::{fmt, str::FromStr};

/// Where a store is: `file:///FOLDER`, `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX`, `az://CONTAINER/PREFIX`, or
/// `https://HOST/PATH`, which is only read from.
///
/// [`Display`](fmt::Display) and [`Debug`] leave out a user, a password and a query.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    url: url::Url,
}

/// The text is no address of a store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadAddress(String);

impl Address {
    /// Whether nothing can be written there.
    pub fn is_read_only(&self) -> bool {
        matches!(self.url.scheme(), "http" | "https")
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let url = text.parse().map_err(|error| BadAddress(format!("{error}")))?;
        Ok(Self { url })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.url.clone();
        url.set_query(None);
        url.fmt(f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}
