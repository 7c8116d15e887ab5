//! Human-readable sizes: `50 GB` or `46.5 GiB`.

use bytesize::ByteSize;
use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// Largest first.
const UNITS: [(&str, u64); 6] = [
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("kB", 1_000),
    ("KiB", 1 << 10),
];

/// # Errors
/// If it has another form.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<ByteSize, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(|_| {
        let message =
            format!("invalid size '{text}': expected a value such as \"50 GB\" or \"46.5 GiB\"");
        D::Error::custom(message)
    })
}

pub(crate) fn serialize<S: Serializer>(size: &ByteSize, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&exact(*size))
}

/// Formats a size exactly, in the largest unit that needs at most one decimal.
fn exact(size: ByteSize) -> String {
    let bytes = size.as_u64();
    let fits =
        |unit: &&(&str, u64)| bytes >= unit.1 && u128::from(bytes) * 10 % u128::from(unit.1) == 0;
    UNITS.iter().find(fits).map_or_else(
        || format!("{bytes} B"),
        |(name, unit)| format!("{} {name}", bytes as f64 / *unit as f64),
    )
}

/// For an optional key.
pub(crate) mod optional {
    use super::{ByteSize, Deserializer, Serializer};

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<ByteSize>, D::Error> {
        super::deserialize(from).map(Some)
    }

    pub(crate) fn serialize<S: Serializer>(
        size: &Option<ByteSize>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match size {
            Some(size) => super::serialize(size, to),
            None => to.serialize_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_parse_what_they_print() {
        for (bytes, written) in [
            (50_000_000_000, "50 GB"),
            (1_500_000_000, "1.5 GB"),
            (1 << 30, "1 GiB"),
            (500_000_000, "500 MB"),
            (1_234_567, "1234567 B"),
            (0, "0 B"),
        ] {
            let size = ByteSize::b(bytes);
            let said = exact(size);
            assert_eq!(said.parse::<ByteSize>().unwrap(), size, "{said}");
            assert_eq!(said, written);
        }
    }
}
