//! What an engine is: what decides it ([`EngineSpec`]) and what it serves ([`Profile`]), what is kept
//! beside it ([`Manifest`], [`Usage`]), where engines lie ([`Library`]), which ones a checkpoint should
//! have ([`Target`]), and what the daemon and a worker say to each other ([`Hello`], [`Job`], [`Report`]).
//!
//! Nothing here needs TensorRT: that is the worker's alone.

mod coverage;
mod difference;
mod disk_full;
mod hello;
mod job;
mod kernels;
mod library;
mod manifest;
mod profile;
mod runtime;
#[cfg(any(test, feature = "samples"))]
pub mod samples;
mod spec;
mod target;
mod usage;
mod validation;

pub use coverage::Pass;
pub use difference::difference;
pub use disk_full::is_disk_full;
pub use hello::Hello;
pub use job::{Built, Job, Parameter, Phase, Progress, Published, Report, Source, Task};
pub use kernels::kernels_folder;
pub use library::{Library, Removal};
pub use manifest::Manifest;
pub use profile::{
    PIXELS_PER_LATENT, POSITIONS_PER_PIECE, Profile, Shapes, TOKENS_PER_PIECE, copies, family,
    positions,
};
pub use runtime::Runtime;
pub use spec::{EngineSpec, FLAVOUR, Weights};
pub use target::{Choice, Target, Wanted};
pub use usage::Usage;
pub use validation::{Accumulation, BOUND, Findings, Limit, Proof, Speed, Validation};
