//! What is to be done next, as it follows from what is known. Pure: no clock, no disk, no tasks.

pub(crate) mod builds;
pub(crate) mod desired;
pub(crate) mod holdings;
pub(crate) mod memory;
pub(crate) mod plan;
pub(crate) mod priority;
pub(crate) mod room;
pub(crate) mod setback;
pub(crate) mod shapes;
pub(crate) mod slots;
pub(crate) mod snapshot;
pub(crate) mod validations;

pub use memory::{
    BACK_OFF, builders, crowding, gpu_bytes, memory_bytes, shared_memory_bytes, shortage,
};
pub use priority::{Errand, Obstacle, Place, Step, Takes, Want, in_order};
pub use setback::Setback;
pub use shapes::{InUse, forget_old, usual};
pub use validations::{Due, due};
