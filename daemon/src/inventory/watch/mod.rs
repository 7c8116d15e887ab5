//! What lies in the models folders, and when it changes.
//!
//! Events only say that it is time to look; what is there is always read from the disk, so a
//! lost, doubled or reordered event costs nothing but a look.

mod hint;
mod limits;
mod mounts;
mod moves;
mod notifier;
mod place;
mod scan;
mod walk;
mod writers;

pub use hint::Hint;
pub use notifier::{Notifier, Unwatched};
pub(crate) use place::look_at;
pub use scan::Scan;
pub(crate) use scan::scan;
pub(crate) use writers::open_for_writing;
