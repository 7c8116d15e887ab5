//! Engines: what decides them, how they are built, published and kept.
//!
//! TensorRT itself lives in the [`worker`] alone, a process of its own: a crash or a leak in it
//! costs one job and never the daemon.

mod coverage;
mod difference;
mod engine;
mod job;
mod library;
mod manifest;
mod profile;
mod runtime;
mod supervisor;
mod target;
mod trial;
mod usage;
pub mod worker;

pub use coverage::Pass;
pub use difference::difference;
pub use engine::{EngineSpec, FLAVOUR, Weights};
pub use job::{Built, Job, Phase, Progress, Published, Report, Task};
pub use library::{Library, Removal};
pub use manifest::Manifest;
pub use profile::{Profile, Shapes, family};
pub use runtime::{Runtime, RuntimeProblem, find_runtime};
pub use supervisor::{Builder, Doing, Done, Failure, Hear, WorkerProcess, is_disk_full, log_name};
pub use target::{Target, Wanted};
pub use trial::{BOUND, Findings, Proof, Speed, Trial};
pub use usage::Usage;
