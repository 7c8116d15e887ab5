//! Keeps TensorRT engines ready for every Stable Diffusion checkpoint in a folder.
//!
//! `event_loop` takes one event at a time and lets its owner record it: `inventory` the models folders,
//! `library` the engines, `intent` what was requested, `retry` what failed, `gate` how the machine is used,
//! `jobs` what is running. After each event, `reconcile` makes a `planner::Snapshot` of what all `owners`
//! know, asks the pure `planner` (and it `retention`) what to do, and does it: it ends and starts jobs,
//! removes engines, and notifies others through `publish` and `api`.

pub mod api;
pub mod cache;
mod claim;
mod clock;
mod event;
mod event_loop;
pub mod gate;
mod intent;
pub mod inventory;
pub mod jobs;
mod library;
mod lifetime;
pub mod log;
pub mod memory;
pub mod metrics;
mod notices;
mod owners;
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
mod sharing;
mod start;
mod systemd;
mod timers;

pub use owners::Settings;
pub use probe::probe;
pub use start::run;
