//! Which checkpoints are still to be read for the names that people know them by.

use super::{Catalogue, Content, Outcome, Sighting};

impl Catalogue {
    /// Whether there may be one.
    pub fn has_unnamed(&self) -> bool {
        !self.unnamed.is_empty()
    }

    /// Returns one that was not returned before, by whatever is known of it already.
    pub fn start_naming(&mut self) -> Option<Sighting> {
        while let Some(file) = self.unnamed.pop_first() {
            let Some(file) = self.files.get(&file) else { continue };
            let is_known = matches!(&file.content, Content::Read(Outcome::Identified(_)));
            if let Some(path) = file.paths.iter().min().filter(|_| is_known) {
                return Some(Sighting { path: path.clone(), stamp: file.stamp });
            }
        }
        None
    }
}
