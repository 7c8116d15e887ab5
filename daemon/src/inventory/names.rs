//! What people and other programs know a file by.

use std::{iter, path::Path, sync::Arc};

use checkpoint::{Checkpoint, Digests, Stamp};
use serde::{Deserialize, Serialize};
use tokio::{
    task::spawn_blocking,
    time::{Duration, Instant},
};
use tracing::debug;

use super::{A1111Hashes, FileEvent, Inventory, Recall, Sighting, idle};

/// Hexadecimal digits that tell one file from thousands of others, as many as the shortest of the usual hashes has.
const DIGITS: usize = 8;

/// How long nothing was new before files are read for their names alone: nobody waits for them.
const QUIET: Duration = Duration::from_secs(60);

/// What ComfyUI writes before a BLAKE3.
const IN_COMFYUI: &str = "blake3:";

/// What a file is called by its content, and by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// The hashes of the whole file.
    pub digests: Digests,
    /// `modelspec.title` of its metadata.
    pub title: Option<String>,
    /// `modelspec.hash_sha256` of its metadata.
    pub stated_sha256: Option<String>,
}

impl Names {
    /// Whether somebody who says this may mean the file.
    pub fn are_meant(&self, said: &Said) -> bool {
        let Digests { sha256, autov1, autov3, crc32, blake3, .. } = &self.digests;
        let hashes = [sha256, autov1, crc32, blake3].into_iter().chain(autov3);
        let mut hashes = hashes.filter(|hash| !said.is_blake3 || *hash == blake3);
        hashes.any(|hash| hash.starts_with(&said.digits))
    }
}

/// A hash that somebody has typed, or the start of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// In lower case.
    pub digits: String,
    is_blake3: bool,
}

impl Said {
    /// Whether this is, or may be, this SHA-256.
    pub fn may_be_sha256(&self, sha256: &str) -> bool {
        !self.is_blake3 && sha256.starts_with(&self.digits)
    }

    /// Reads a hash in any of the forms in which it is met: A1111 puts the first ten digits in square brackets, ComfyUI
    /// `blake3:` before, Civitai writes upper case, and metadata `0x` before. `None` if it is none, or too short.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        let (is_blake3, text) = match text.strip_prefix(IN_COMFYUI) {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix("0x").unwrap_or(text)),
        };
        let is_hash = text.len() >= DIGITS && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_hash.then(|| Self { digits: text.to_ascii_lowercase(), is_blake3 })
    }
}

impl Inventory {
    /// Reads for their names what nothing has read for them yet, once everything else is known.
    pub(super) fn start_naming(&mut self, now: Instant) {
        if self.naming || !self.is_all_hashed() || self.is_busy() || self.looker.is_none() {
            return;
        }
        if !self.catalogue.has_unnamed() {
            self.name_due = None;
            return;
        }
        if *self.name_due.get_or_insert(now + QUIET) > now {
            return;
        }
        let recall = &self.recall;
        let unnamed = iter::from_fn(|| self.catalogue.start_naming());
        let mut unnamed = unnamed.skip_while(|file| recall.names(&file.stamp).is_some());
        let Some(file) = unnamed.next() else { return };
        self.naming = true;
        let (recall, tell) = (self.recall.clone(), self.tell.clone());
        spawn_blocking(move || {
            name(&file, &*recall);
            tell(FileEvent::Named);
        });
    }

    /// A1111's hashes, as they were read last.
    pub(crate) fn a1111_hashes(&self) -> &A1111Hashes {
        &self.a1111_hashes
    }

    /// A1111's caches were read.
    pub(crate) fn record_a1111_hashes(&mut self, hashes: Arc<A1111Hashes>) {
        self.a1111_hashes = hashes;
    }

    /// A checkpoint was read for its names.
    pub(crate) fn record_named(&mut self) {
        self.naming = false;
    }
}

/// Reads a whole file for its names, while no one else wants the disk or the CPU, and keeps them.
pub(super) fn name(file: &Sighting, recall: &dyn Recall) {
    idle::run(|| keep(&file.path, &file.stamp, recall));
}

/// Likewise, on this thread.
pub(super) fn keep(path: &Path, stamp: &Stamp, recall: &dyn Recall) {
    let is_it = |stamp_now: &Stamp| stamp_now.is_same_version(stamp);
    let read = || {
        let found = Checkpoint::open(path)?;
        let names = Names {
            digests: found.digests()?,
            title: found.title().map(str::to_owned),
            stated_sha256: found.stated_sha256().map(str::to_owned),
        };
        Ok::<_, checkpoint::Rejection>(names)
    };
    match read() {
        // It may have changed while it was read.
        Ok(names) if Stamp::of(path).is_ok_and(|now| is_it(&now)) => {
            recall.set_names(stamp, Some(&names));
        }
        Ok(_) => debug!("{} changed while it was read", path.display()),
        Err(why) => debug!("{}: {why}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_known_in_whatever_form_it_is_met() {
        let names = Names {
            digests: Digests {
                sha256: "6ce0161689b3853acaa03779ec93eafe75a02f4ced659bee03f50797806fa2fa"
                    .to_owned(),
                autov1: "c6bbc15e".to_owned(),
                autov2: "6ce0161689".to_owned(),
                autov3: Some("3eaf2c2d5a1b".to_owned()),
                crc32: "0f0c14a3".to_owned(),
                blake3: "0f2c6b9d75a02f4ced659bee03f50797806fa2fa6ce0161689b3853acaa03779"
                    .to_owned(),
            },
            title: None,
            stated_sha256: None,
        };
        for (said, is_meant) in [
            ("6ce0161689b3853acaa03779ec93eafe75a02f4ced659bee03f50797806fa2fa", true),
            ("[6ce0161689]", true),
            ("6CE0161689", true),
            ("c6bbc15e", true),
            ("3EAF2C2D5A1B", true),
            ("0F0C14A3", true),
            ("0x6ce0161689", true),
            ("blake3:0f2c6b9d75a02f4ced659bee03f50797806fa2fa6ce0161689b3853acaa03779", true),
            ("blake3:0f2c6b9d", true),
            ("blake3:6ce01616", false),
            ("6ce0161688", false),
            ("6ce0161689b3853acaa03779ec93eafe75a02f4ced659bee03f50797806fa2fa00", false),
        ] {
            let said_hash = Said::new(said).unwrap();
            assert_eq!(names.are_meant(&said_hash), is_meant, "{said}");
        }
        for said in ["6ce0161", "", "photo.safetensors", "[]", "blake3:", "deadbeefx"] {
            assert_eq!(Said::new(said), None, "{said}");
        }
    }
}
