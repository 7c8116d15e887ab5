//! What machines share: `[store]`.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{file::Error, paths};

/// Ways to reach a store; of the last two nothing can be written.
const SCHEMES: [&str; 6] = ["file://", "s3://", "gs://", "az://", "https://", "http://"];

/// Characters of a public key as minisign writes it: 42 bytes in base64.
const KEY_CHARACTERS: usize = 56;

/// The secret key's file, in the configuration's folder.
const KEY_FILE: &str = "store.key";

/// Where machines share engines and what they found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedStore {
    /// The store's address, such as `file:///mnt/nas/sdtrt` or `s3://bucket/prefix`; empty if there is none, but keys
    /// that count on a stick.
    #[serde(default)]
    pub url: String,
    /// Whether this machine adds to it.
    #[serde(default)]
    pub mode: StoreMode,
    /// Public keys, as minisign writes them: what others have signed does not count.
    #[serde(default)]
    pub trusted_keys: Vec<String>,
    /// The file of the secret key that this machine signs with; see [`Self::key`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
}

/// What a machine does with a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub enum StoreMode {
    /// `read`: it only takes.
    #[default]
    #[serde(rename = "read")]
    Read,
    /// `read-write`: it adds what it builds and finds.
    #[serde(rename = "read-write")]
    ReadWrite,
}

/// The text is no mode of a store.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("invalid value '{0}': expected read or read-write")]
pub struct NotAStoreMode(String);

impl FromStr for StoreMode {
    type Err = NotAStoreMode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "read" => Ok(Self::Read),
            "read-write" => Ok(Self::ReadWrite),
            other => Err(NotAStoreMode(other.to_owned())),
        }
    }
}

impl TryFrom<String> for StoreMode {
    type Error = NotAStoreMode;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl SharedStore {
    /// The file of the secret key: the configured one, or `store.key` beside the user's configuration.
    pub fn key(&self) -> PathBuf {
        self.key.clone().unwrap_or_else(|| key_beside(&paths::config_file()))
    }

    /// Makes the path of the key absolute, relative to the configuration's folder, which also has the usual one.
    pub(crate) fn make_absolute(&mut self, base: &Path) {
        self.key = Some(base.join(self.key.take().unwrap_or_else(|| KEY_FILE.into())));
    }

    /// Checks the values.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.url.is_empty() && self.mode == StoreMode::Read {
            return self.check_keys();
        }
        let Some(scheme) = SCHEMES.iter().find(|scheme| self.url.starts_with(**scheme)) else {
            let wanted =
                format!("expected an address that begins with one of {}", SCHEMES.join(", "));
            return Err(Error::value("store.url", &self.url, wanted));
        };
        if self.url.len() == scheme.len() {
            let wanted = format!("expected an address after {scheme}");
            return Err(Error::value("store.url", &self.url, wanted));
        }
        let host = self.url[scheme.len()..].split('/').next().unwrap_or_default();
        if host.contains('@') {
            // It would stand in logs and lists.
            let wanted = "expected no user and password in it; docs/store.md says where they go";
            return Err(Error::value("store.url", scheme, wanted));
        }
        if scheme.starts_with("http") && self.mode == StoreMode::ReadWrite {
            let wanted = "expected mode = \"read\": nothing can be written to a store over HTTP";
            return Err(Error::value("store.mode", "read-write", wanted));
        }
        self.check_keys()
    }

    fn check_keys(&self) -> Result<(), Error> {
        if let Some(key) = self.trusted_keys.iter().find(|key| !is_public_key(key)) {
            let wanted = "expected public keys such as `sdtrtctl store keygen` prints, of 56 characters, RW first";
            return Err(Error::value("store.trusted_keys", key, wanted));
        }
        Ok(())
    }
}

/// Where the secret key of a machine with this configuration file is, unless that names another.
pub fn key_beside(configuration: &Path) -> PathBuf {
    configuration.with_file_name(KEY_FILE)
}

/// Whether this has the form of a public key; whether it is one, only its use tells.
fn is_public_key(text: &str) -> bool {
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    text.len() == KEY_CHARACTERS && text.starts_with("RW") && text.chars().all(is_base64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

    #[test]
    fn what_can_be_no_store_is_told_by_its_key() {
        for (what, table, wrong) in [
            ("a folder", "url = 'file:///mnt/nas/sdtrt'", None),
            ("a bucket to write to", "url = 's3://bucket/prefix'\nmode = 'read-write'", None),
            ("Google's, Azure's", "url = 'gs://bucket'", None),
            ("read-only", "url = 'https://engines.example.org/sdtrt'", None),
            ("only keys, for a stick", "trusted_keys = []", None),
            ("nothing to write to", "mode = 'read-write'", Some("store.url")),
            ("a path", "url = '/mnt/nas'", Some("store.url")),
            ("nothing after it", "url = 's3://'", Some("store.url")),
            ("another way", "url = 'ftp://host/x'", Some("store.url")),
            ("a password", "url = 'https://me:secret@host/x'", Some("store.url")),
            ("a bucket's password", "url = 's3://me:secret@bucket/x'", Some("store.url")),
            ("a folder with an @", "url = 'file:///mnt/a@b/secret'", None),
            ("HTTP to write to", "url = 'https://host/x'\nmode = 'read-write'", Some("store.mode")),
            ("another mode", "url = 's3://x'\nmode = 'write'", Some("expected read or read-write")),
            ("an unknown key", "url = 's3://x'\nmodes = 'read'", Some("modes")),
            (
                "a short key",
                "url = 's3://x'\ntrusted_keys = ['RWQf6L']",
                Some("store.trusted_keys"),
            ),
        ] {
            let text = format!("models_dirs = ['/m']\n[store]\n{table}\n");
            let read = toml::from_str::<Config>(&text).map_err(|error| error.to_string());
            let checked = read.and_then(|config| config.check().map_err(|error| error.to_string()));
            match wrong {
                None => assert_eq!(checked, Ok(()), "{what}"),
                Some(wrong) => {
                    let said = checked.unwrap_err();
                    assert!(said.contains(wrong), "{what}: {said}");
                    assert!(!said.contains("secret"), "{said}");
                }
            }
        }
    }

    #[test]
    fn a_key_has_a_place_unless_it_is_told() {
        let text =
            format!("models_dirs = ['/m']\n[store]\nurl = 's3://x'\ntrusted_keys = ['{KEY}']\n");
        let mut config: Config = toml::from_str(&text).unwrap();
        config.check().unwrap();
        let usual = key_beside(&paths::config_file());
        assert_eq!(config.store.as_ref().unwrap().key(), usual);
        let mut system = config.clone();
        system.make_absolute(Path::new("/etc/sdtrt"));
        assert_eq!(system.store.unwrap().key(), Path::new("/etc/sdtrt/store.key"));
        config.store.as_mut().unwrap().key = Some("mine.key".into());
        config.make_absolute(Path::new("/etc/sdtrt"));
        assert_eq!(config.store.unwrap().key(), Path::new("/etc/sdtrt/mine.key"));
    }
}
