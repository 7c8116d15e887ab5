//! What is known of every file, and what is to be done next. Pure: no clock, no disk, no tasks.

mod catalogue;
mod idle;
mod memory;
mod outcome;
mod plan;
mod quota;
mod setback;
mod shapes;
mod standing;
mod validations;

pub use checkpoint::Identity;

pub use catalogue::{Catalogue, Content, File, Held};
pub use idle::{Decision, Gates, Reason, Sample};
pub use memory::{
    BACK_OFF, builders, crowding, gpu_bytes, memory_bytes, shared_memory_bytes, shortage,
};
pub use outcome::Outcome;
pub use plan::{Errand, Obstacle, Place, Step, Takes, Want, plan};
pub use quota::{Eviction, Holdings};
pub use setback::Setback;
pub use shapes::{InUse, forget_old, usual};
pub use standing::{Keys, Standing, Stored, WantedKeys, standings};
pub use validations::{Due, due};
