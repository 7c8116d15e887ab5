//! Sizes as people write them.

use bytesize::ByteSize;
use serde::{Deserialize, Deserializer, de::Error};

/// A size such as `50 GB` or `46.5 GiB`.
///
/// # Errors
/// When it is not written so.
pub(crate) fn size<'de, D: Deserializer<'de>>(from: D) -> Result<ByteSize, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(|_| {
        let message = format!("'{text}' is not a size: write it as \"50 GB\" or \"46.5 GiB\"");
        D::Error::custom(message)
    })
}

/// As [`size`], for a key that may be absent.
pub(crate) fn optional_size<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<ByteSize>, D::Error> {
    size(from).map(Some)
}
