//! Watches the models folders.
//!
//! Events only say that it is time to look; the state is always read from the disk, so a lost, repeated or
//! reordered event costs at most one look.

mod disk;
mod hint;
mod instance;
mod limits;
mod look;
mod mount_table;
mod mount_watch;
mod mounts;
mod moves;
mod notifier;
mod place;
mod pulse;
mod scan;
mod walk;
mod way;
mod ways;
mod writers;

pub use disk::Disk;
pub use hint::Hint;
pub(crate) use look::{Eyes, Look, LookOrder};
pub(crate) use mount_watch::MountWatch;
pub use notifier::{Notifier, Unwatched};
pub(crate) use place::look_at;
pub(crate) use pulse::Pulse;
pub use scan::Scan;
pub(crate) use ways::Ways;
pub(crate) use writers::open_for_writing;
