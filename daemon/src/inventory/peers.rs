//! What other machines found of files, so that not each of them reads all of a folder that they share.

use std::{fs::File, path::Path, sync::Arc, time::Duration};

use checkpoint::{Excerpt, Identity, Stamp};
use serde::{Deserialize, Serialize};
use tracing::{debug, warn};

use super::{Content, Inventory, Known, Names, Outcome, Recall, Sighting, reading::Learned};

/// Raise it when ids, excerpts or names are made in another way.
const SCHEME: u32 = 1;

/// Other machines that may have read the same files.
pub(crate) trait Peers: Send + Sync {
    /// What one of them found this file to be, or what this machine is to do. Takes as long as a request may.
    fn ask(&self, file: &Sighting) -> Advice;
    /// Tells them what this machine found, once it was to read the file; nothing, if that failed.
    fn tell(&self, file: &Sighting, found: Option<&WholeReading>);
}

/// What to do with a file whose content is unknown.
#[derive(Debug)]
pub(crate) enum Advice {
    /// Read it.
    Read,
    /// Believe this, if the file agrees.
    Believe(Box<WholeReading>),
    /// Ask again after so long: another machine is reading it.
    Wait(Duration),
}

/// What reading all of a file taught.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WholeReading {
    scheme: u32,
    identity: Identity,
    /// What tells whether a file is the one that was read.
    excerpt: Excerpt,
    names: Option<Names>,
}

impl WholeReading {
    /// What is known of this file, all of which was read here.
    pub(super) fn of(file: &Sighting, known: &Known, recall: &dyn Recall) -> Option<Self> {
        let Outcome::Identified(identity) = &known.outcome else { return None };
        if identity.ids.are_provisional() {
            return None;
        }
        let excerpt = recall.excerpt(known.excerpt.as_ref()?)?;
        let identity = Identity::clone(identity);
        Some(Self { scheme: SCHEME, identity, excerpt, names: recall.names(&file.stamp) })
    }

    /// Takes it as what this file is, if the file's header and a few megabytes of it agree.
    pub(super) fn believe(self, file: &Sighting, recall: &dyn Recall) -> Option<Learned> {
        let Sighting { path, stamp } = file;
        let Self { scheme, identity, excerpt, names } = self;
        let header = recall.known(path, stamp)?;
        let agrees = scheme == SCHEME
            && !identity.ids.are_provisional()
            && matches!(&header.outcome, Outcome::Identified(here) if is_same_kind(here, &identity));
        let matches = || File::open(path).and_then(|file| excerpt.matches(&file));
        if !agrees || !matches().inspect_err(|error| debug!("{}: {error}", path.display())).ok()? {
            warn!(
                "{} is not what another machine found it to be, so it is read here",
                path.display()
            );
            return None;
        }
        // Neither before nor since: the excerpt is of what was seen.
        let now = Stamp::of(path).ok()?;
        if !now.is_same_version(stamp) || now.changed_ns != stamp.changed_ns {
            return None;
        }
        let known = Known {
            outcome: Outcome::Identified(Arc::new(identity)),
            changed_ns: stamp.changed_ns,
            excerpt: Some(recall.keep_excerpt(&excerpt)),
            is_compared: false,
        };
        recall.set_names(stamp, names.as_ref());
        recall.remember(path, stamp, &known);
        Some(Learned { path: path.clone(), stamp: *stamp, known: Some(known) })
    }
}

impl Inventory {
    /// Asks these machines before a file is hashed, and tells them what was found.
    pub(crate) fn set_peers(&mut self, peers: Option<Arc<dyn Peers>>) {
        self.peers = peers;
    }

    /// The file at this path is not, or may not be, what it was: it is read here.
    pub(super) fn distrust(&mut self, path: &Path) {
        let file = self.catalogue.at(path).filter(|_| self.peers.is_some());
        if let Some(file) = file.map(|file| file.stamp.file()) {
            self.distrusted.insert(file);
        }
    }

    /// Whether what another machine found of this file may be what it is: it has not changed since it was known, and
    /// is not read to be sure of it.
    pub(super) fn may_believe(&self, file: &Sighting) -> bool {
        let is_provisional = self.catalogue.at(&file.path).is_some_and(
            |file| matches!(&file.content, Content::Read(outcome) if outcome.is_provisional()),
        );
        is_provisional && !self.distrusted.contains(&file.stamp.file())
    }
}

/// Whether both are of one kind, for all that a header tells.
fn is_same_kind(header: &Identity, found: &Identity) -> bool {
    header.signature == found.signature
        && header.architecture == found.architecture
        && header.unet_parameters == found.unet_parameters
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    /// What another machine found of some file.
    pub(crate) fn found() -> WholeReading {
        let file = tempfile::NamedTempFile::new().unwrap();
        goldens::Manifest::load("sd1").unwrap().write_checkpoint(file.path()).unwrap();
        let checkpoint = checkpoint::Checkpoint::open(file.path()).unwrap();
        let excerpt = checkpoint.excerpt().unwrap();
        let identity = crate::samples::identity("a");
        WholeReading { scheme: SCHEME, identity, excerpt, names: None }
    }
}

#[cfg(test)]
mod tests;
