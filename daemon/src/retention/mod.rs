//! Decides which engines are worth keeping, and which are evicted. Pure: no clock, no disk, no tasks.

pub(crate) mod quota;
pub(crate) mod standing;

pub use quota::{Holdings, QuotaPlan};
pub use standing::{Keys, Standing, Stored, WantedKeys, standings};
