//! Ids, which identify a checkpoint wherever its file is.

use std::{
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{encoded::Encoded, stamp::Stamp};

/// The last bytes of a provisional id; no digest ends like this by chance.
const PROVISIONAL: [u8; 8] = [0; 8];

/// A 32-byte digest: 64 lower-case hex digits in text, 32 bytes in binary forms.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id([u8; 32]);

impl Hash for Id {
    /// Of a digest eight bytes are enough, and each list of thousands of checkpoints has them all hashed.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (start, _) = self.0.as_chunks();
        state.write_u64(start.first().copied().map_or(0, u64::from_le_bytes));
    }
}

/// The ids of one checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ids {
    /// Weights id: over all tensors.
    pub weights: Id,
    /// UNet id: over the tensors under [`UNET_PREFIX`](crate::UNET_PREFIX).
    pub unet: Id,
}

impl Ids {
    /// Returns placeholder ids for a file whose content was not read yet. A rename keeps them; every write
    /// changes them.
    pub fn provisional(file: &Stamp) -> Self {
        let id = |what| {
            let mut encoded = Encoded::with_room_for(1);
            encoded.text(what);
            encoded.numbers(&[file.device, file.inode, file.size]);
            encoded.bytes(&file.mtime_ns.to_le_bytes());
            let Id(mut bytes) = encoded.hash();
            bytes[32 - PROVISIONAL.len()..].copy_from_slice(&PROVISIONAL);
            Id(bytes)
        };
        Self { weights: id("weights"), unet: id("UNet") }
    }

    /// Whether they are the placeholder ids of a file whose content was not read yet.
    pub fn are_provisional(&self) -> bool {
        self.weights.is_provisional()
    }
}

/// The text is not a valid id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id is 64 lower-case hex digits")]
pub struct NotAnId;

impl Id {
    /// The first 12 hex digits, for display.
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }

    /// Whether it stands for the id of a file whose content was not read yet. People are never shown one.
    pub fn is_provisional(&self) -> bool {
        self.0.ends_with(&PROVISIONAL)
    }
}

impl From<[u8; 32]> for Id {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl From<blake3::Hash> for Id {
    fn from(hash: blake3::Hash) -> Self {
        Self(hash.into())
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Lists have thousands of ids: formatting byte by byte takes five times as long.
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 64];
        for (pair, byte) in text.as_chunks_mut().0.iter_mut().zip(self.0) {
            *pair = [byte >> 4, byte & 15].map(|nibble| DIGITS[usize::from(nibble)]);
        }
        f.write_str(str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({self})")
    }
}

impl FromStr for Id {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return Err(NotAnId) };
        let mut id = [0; 32];
        if pairs.len() != id.len() {
            return Err(NotAnId);
        }
        for (byte, [high, low]) in id.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Ok(Self(id))
    }
}

fn digit(character: u8) -> Result<u8, NotAnId> {
    match character {
        b'0'..=b'9' => Ok(character - b'0'),
        b'a'..=b'f' => Ok(character - b'a' + 10),
        _ => Err(NotAnId),
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&self.to_string())
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
        } else {
            let bytes = <&[u8]>::deserialize(deserializer)?;
            bytes.try_into().map(Self).map_err(serde::de::Error::custom)
        }
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Id {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Id".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A digest of 32 bytes, as 64 lower-case hex digits.",
            "type": "string",
            "pattern": "^[0-9a-f]{64}$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_text_and_json() {
        let id = Id(std::array::from_fn(|i| i as u8 * 8 + 7));
        assert_eq!(id.to_string().parse(), Ok(id));
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<Id>(&json).unwrap(), id);
        assert_eq!(id.short(), id.to_string()[..12]);
    }

    #[test]
    fn a_file_has_ids_before_its_content_is_known() {
        let stamp = Stamp { device: 1, inode: 2, size: 3, mtime_ns: 4, ..Stamp::default() };
        let ids = Ids::provisional(&stamp);
        assert!(ids.weights.is_provisional() && ids.unet.is_provisional() && ids.are_provisional());
        assert_eq!(Ids::provisional(&stamp), ids);
        let others = [
            Stamp { device: 9, ..stamp },
            Stamp { inode: 9, ..stamp },
            Stamp { size: 9, ..stamp },
            Stamp { mtime_ns: 9, ..stamp },
        ];
        let mut known = vec![ids.weights, ids.unet];
        for other in others.iter().map(Ids::provisional) {
            assert!(!known.contains(&other.weights) && !known.contains(&other.unet));
            known.extend([other.weights, other.unet]);
        }
        assert!(!Id::from(blake3::hash(b"content")).is_provisional());
    }

    #[test]
    fn what_is_no_id() {
        let good = "0123456789abcdef".repeat(4);
        for bad in [
            "",
            "0",
            &good[1..],
            &format!("{good}00"),
            &good.to_uppercase(),
            &good.replace('0', "é"),
        ] {
            assert_eq!(bad.parse::<Id>(), Err(NotAnId), "{bad}");
        }
    }
}
