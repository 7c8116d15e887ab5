//! What lies in the models folders, and what is known of it.

pub(crate) mod catalogue;
pub(crate) mod looking;
pub(crate) mod outcome;
pub(crate) mod reading;
pub(crate) mod watch;

pub use catalogue::{Catalogue, Content, File, Held};
pub use checkpoint::{FileId, Identity, Stamp};
pub use outcome::Outcome;
pub use watch::{Hint, Notifier, Scan, Unwatched, open_for_writing, scan};
