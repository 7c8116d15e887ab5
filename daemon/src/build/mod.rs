//! Engines: what decides them, how they are built, published and kept.
//!
//! TensorRT itself lives in the [`worker`] alone, a process of its own: a crash or a leak in it
//! costs one job and never the daemon.

mod coverage;
mod difference;
mod engine;
mod job;
mod kernels;
mod library;
mod manifest;
mod profile;
mod runtime;
mod supervisor;
mod target;
mod usage;
mod validation;
pub mod worker;

pub use coverage::Pass;
pub use difference::difference;
pub use engine::{EngineSpec, FLAVOUR, Weights};
pub use job::{Built, Job, Parameter, Phase, Progress, Published, Report, Source, Task};
pub use kernels::kernels_folder;
pub use library::{Library, Removal};
pub use manifest::Manifest;
pub use profile::{Profile, Shapes, copies, family, positions};
pub use runtime::{Runtime, RuntimeProblem, find_runtime};
pub use supervisor::{Builder, Doing, Done, Failure, Hear, WorkerProcess, is_disk_full, log_name};
pub use target::{Choice, Target, Wanted};
pub use usage::Usage;
pub use validation::{Accumulation, BOUND, Findings, Limit, Proof, Speed, Validation};
