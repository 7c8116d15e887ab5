//! Which engines are worth keeping, and which go. Pure: no clock, no disk, no tasks.

pub(crate) mod quota;
pub(crate) mod standing;

pub use quota::{Eviction, Holdings};
pub use standing::{Keys, Standing, Stored, WantedKeys, standings};
