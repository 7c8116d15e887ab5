use std::fmt;

use checkpoint::Id;
use serde::{Deserialize, Serialize};

/// What tells an entry of `list` from all others; on the wire it is its text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged, from = "String")]
pub enum EntryKey {
    /// The path of a file whose weights are unknown.
    Path(String),
    /// A checkpoint's weights id.
    Weights(Id),
}

impl EntryKey {
    /// What people are shown: the path, or the first digits of the id.
    pub fn short(&self) -> String {
        match self {
            Self::Path(path) => path.clone(),
            Self::Weights(id) => id.short(),
        }
    }
}

impl From<Id> for EntryKey {
    fn from(id: Id) -> Self {
        Self::Weights(id)
    }
}

impl From<String> for EntryKey {
    fn from(text: String) -> Self {
        text.parse().map_or_else(|_| Self::Path(text), Self::Weights)
    }
}

impl fmt::Display for EntryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.fmt(f),
            Self::Weights(id) => id.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_the_wire_a_key_is_its_text() {
        let path = |text: &str| (EntryKey::Path(text.to_owned()), text.to_owned());
        let id = Id::from([0xab; 32]);
        let no_id = "ab".repeat(31);
        let table =
            [(EntryKey::Weights(id), id.to_string()), path("/m/a.safetensors"), path(&no_id)];
        for (key, text) in table {
            assert_eq!(key.to_string(), text);
            let wire = serde_json::to_value(&key).unwrap();
            assert_eq!(wire, text);
            assert_eq!(serde_json::from_value::<EntryKey>(wire).unwrap(), key);
        }
    }
}
