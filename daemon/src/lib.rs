//! Keeps TensorRT engines ready for every Stable Diffusion checkpoint in a folder.
//!
//! One loop takes one event at a time (`event_loop`); whoever it is about takes it in: what lies in the
//! models folders (`inventory`), how the machine is used (`gate`), how jobs go on (`jobs`), what
//! clients ask (`api`). What is to be done follows from what is known (`planner`, `retention`).

pub mod api;
pub mod build;
pub mod cache;
mod event;
mod event_loop;
pub mod gate;
mod intent;
pub mod inventory;
mod jobs;
mod library;
pub mod log;
pub mod memory;
pub mod metrics;
pub mod planner;
mod probe;
pub mod publish;
mod reconcile;
mod reload;
pub mod retention;
mod retry;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod scenarios;
mod start;
mod systemd;
mod timers;

pub use probe::probe;
pub use reload::Settings;
pub use start::run;
