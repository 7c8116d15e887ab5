//! What is known of every file, and what is to be done next. Pure: no clock, no disk, no tasks.

mod catalogue;
mod identity;
mod plan;
mod setback;

pub use catalogue::{Catalogue, Content, Held, Location};
pub use identity::{Identity, Outcome};
pub use plan::{Want, plan};
pub use setback::Setback;
