//! Decides what to do next, from what is known. Pure: no disk, no tasks.

mod builds;
mod closed;
mod desired;
mod holdings;
mod judgement;
mod memory;
mod pause;
mod plan;
mod priority;
mod reason;
pub(crate) mod room;
mod setback;
mod shapes;
mod slots;
mod snapshot;
mod validation;
mod validations;

#[cfg(test)]
mod tests;

pub(crate) use closed::Closed;
pub use closed::Paused;
pub(crate) use desired::{Desired, DesiredEngines, NoRuntime};
pub(crate) use holdings::of;
pub(crate) use judgement::Judgement;
pub use memory::{BACK_OFF, builders, gpu_bytes, memory_bytes, shared_memory_bytes};
pub(crate) use memory::{crowding, shortage};
pub(crate) use pause::{Deadly, Pause};
pub(crate) use plan::{Dispatch, Eviction, News, Next, Order, Plan, plan};
pub(crate) use priority::{Errand, Place, Step, Takes, Want, in_order};
pub(crate) use reason::{Cause, Grounds, Obstacle, Refusal, Stop, Wait};
pub use setback::Setback;
pub use shapes::{InUse, forget_old, usual};
pub(crate) use slots::Slot;
pub(crate) use snapshot::{Snapshot, Work};
pub use validations::{Past, ValidationCause, due};
