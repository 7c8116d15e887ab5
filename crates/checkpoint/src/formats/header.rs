//! The JSON header of a safetensors file.
//!
//! The format's own library stops at the first type that is newer than it is, keeps pictures and workflows in memory,
//! and parses through serde's `flatten`, which takes twice as long.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};

use crate::{metadata::HeaderMetadata, tensor::Dtype};

/// The one entry that is not a tensor.
const METADATA: &str = "__metadata__";

/// The most tensors: a whole SDXL checkpoint with its EMA copy has 4,200.
const TENSORS: usize = 1 << 17;

/// The longest name in bytes, and that of all names together.
const NAME: usize = 1 << 12;
const NAMES: usize = 16 << 20;

/// The most dimensions, which are torch's.
const RANK: usize = 64;

/// What a header says.
pub(super) struct Header {
    pub(super) entries: Vec<(String, TensorEntry)>,
    pub(super) metadata: HeaderMetadata,
}

/// A tensor's entry.
#[derive(Deserialize)]
pub(super) struct TensorEntry {
    #[serde(deserialize_with = "dtype")]
    pub(super) dtype: Dtype,
    pub(super) shape: Shape,
    pub(super) data_offsets: (u64, u64),
}

/// At most [`RANK`] dimensions.
pub(super) struct Shape(pub(super) Vec<u64>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tensors by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let mut header = Header { entries: Vec::new(), metadata: HeaderMetadata::default() };
        let mut names = 0;
        while let Some(name) = map.next_key_seed(Text(NAME))? {
            if name == METADATA {
                header.metadata = map.next_value()?;
                continue;
            }
            names += name.len();
            if names > NAMES || header.entries.len() == TENSORS {
                return Err(A::Error::custom(format!("it has more than {TENSORS} tensors")));
            }
            header.entries.push((name, map.next_value()?));
        }
        Ok(header)
    }
}

/// A text of at most this many bytes.
struct Text(usize);

impl<'de> DeserializeSeed<'de> for Text {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Text {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a text of at most {} bytes", self.0)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        match text.len() {
            len if len > self.0 => Err(E::invalid_length(len, &self)),
            _ => Ok(text.to_owned()),
        }
    }
}

fn dtype<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Dtype, D::Error> {
    deserializer.deserialize_str(DtypeName)
}

/// The name of a type.
struct DtypeName;

impl Visitor<'_> for DtypeName {
    type Value = Dtype;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a type's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Dtype, E> {
        Dtype::named(name).ok_or_else(|| E::custom(format!("{name:.32} is not a type's name")))
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {RANK} dimensions")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sizes: A) -> Result<Shape, A::Error> {
        let mut shape = Vec::with_capacity(sizes.size_hint().unwrap_or(4).min(RANK));
        while let Some(size) = sizes.next_element()? {
            if shape.len() == RANK {
                return Err(A::Error::invalid_length(RANK + 1, &self));
            }
            shape.push(size);
        }
        Ok(Shape(shape))
    }
}
