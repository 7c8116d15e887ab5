//! What a file says of itself beside its tensors.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// The entries that tell what a file is, how its weights are stored, or what it is called; all others may be megabytes
/// of pictures.
const WANTED: [&str; 5] =
    ["_quantization_metadata", "modelspec.architecture", "ss_network_module", TITLE, STATED_SHA256];

/// What it is called.
pub(crate) const TITLE: &str = "modelspec.title";

/// The SHA-256 of what follows the header, after `0x`, as its maker has stated it.
pub(crate) const STATED_SHA256: &str = "modelspec.hash_sha256";

/// The longest entry that is kept, in bytes: a line of 100 for each layer of the largest UNet takes 200 KB.
const LONGEST: usize = 4 << 20;

/// The wanted entries of a file's metadata.
#[derive(Debug, Default)]
pub(crate) struct HeaderMetadata(BTreeMap<&'static str, String>);

impl HeaderMetadata {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Each entry that tells what a file is as a line, `#KEY=VALUE`.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        let told = self.0.iter().filter(|(key, _)| ![TITLE, STATED_SHA256].contains(key));
        told.map(|(key, value)| format!("\n#{key}={value}\n"))
    }
}

impl<'de> Deserialize<'de> for HeaderMetadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MetadataVisitor)
    }
}

/// Whatever is no text by name is passed over: nothing depends on it.
struct MetadataVisitor;

impl<'de> Visitor<'de> for MetadataVisitor {
    type Value = HeaderMetadata;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("texts by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<HeaderMetadata, A::Error> {
        let mut found = HeaderMetadata::default();
        while let Some(Wanted(name)) = map.next_key()? {
            match name {
                Some(name) => {
                    if let Kept(Some(text)) = map.next_value()? {
                        found.0.insert(name, text);
                    }
                }
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<HeaderMetadata, A::Error> {
        IgnoredAny.visit_seq(seq).map(|_| HeaderMetadata::default())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<HeaderMetadata, E> {
        Ok(HeaderMetadata::default())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<HeaderMetadata, E> {
        Ok(HeaderMetadata::default())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<HeaderMetadata, E> {
        Ok(HeaderMetadata::default())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<HeaderMetadata, E> {
        Ok(HeaderMetadata::default())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<HeaderMetadata, E> {
        Ok(HeaderMetadata::default())
    }

    fn visit_unit<E: Error>(self) -> Result<HeaderMetadata, E> {
        Ok(HeaderMetadata::default())
    }
}

/// The name of an entry, if it is wanted.
struct Wanted(Option<&'static str>);

impl<'de> Deserialize<'de> for Wanted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Key;
        impl Visitor<'_> for Key {
            type Value = Wanted;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Wanted, E> {
                Ok(Wanted(WANTED.into_iter().find(|wanted| *wanted == name)))
            }
        }
        deserializer.deserialize_str(Key)
    }
}

/// A text that is not too long; `None` is anything else, which safetensors' own library refuses and ComfyUI's reader
/// passes over.
struct Kept(Option<String>);

impl<'de> Deserialize<'de> for Kept {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeptText)
    }
}

struct KeptText;

impl<'de> Visitor<'de> for KeptText {
    type Value = Kept;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Kept, E> {
        Ok(Kept((text.len() <= LONGEST).then(|| text.to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Kept, A::Error> {
        IgnoredAny.visit_map(map).map(|_| Kept(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Kept, A::Error> {
        IgnoredAny.visit_seq(seq).map(|_| Kept(None))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Kept, E> {
        Ok(Kept(None))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Kept, E> {
        Ok(Kept(None))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Kept, E> {
        Ok(Kept(None))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Kept, E> {
        Ok(Kept(None))
    }

    fn visit_unit<E: Error>(self) -> Result<Kept, E> {
        Ok(Kept(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_passed_over() {
        let odd = ["1", "-1", "1.5", "true", "null", r#"{"a":[1]}"#, r#"["x"]"#];
        for value in odd {
            for key in WANTED.iter().chain(&["format"]) {
                let text = format!(r#"{{"{key}":{value},"ss_network_module":"networks.lora"}}"#);
                let found: HeaderMetadata = serde_json::from_str(&text).expect(&text);
                assert_eq!(found.get("ss_network_module"), Some("networks.lora"), "{text}");
                let is_kept = *key == "ss_network_module" || found.get(key).is_none();
                assert!(is_kept, "{text}");
            }
            serde_json::from_str::<HeaderMetadata>(value).expect(value);
        }
        let long = format!(r#"{{"ss_network_module":"{}"}}"#, "x".repeat(LONGEST + 1));
        let found: HeaderMetadata = serde_json::from_str(&long).expect("a text of any length");
        assert_eq!(found.get("ss_network_module"), None);
    }
}
