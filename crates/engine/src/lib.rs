//! Engines: what determines one ([`EngineSpec`]) and what it serves ([`Profile`]), what is stored beside it
//! ([`Manifest`], [`Usage`]) and where ([`Library`]), which ones a checkpoint should have ([`Target`]), and
//! the messages between the daemon and a worker ([`Hello`], [`Job`], [`Report`]).
//!
//! Nothing here needs TensorRT: only the worker does.

mod check;
mod coverage;
mod difference;
mod hello;
mod job;
mod kernels;
mod library;
mod manifest;
mod profile;
mod regular;
mod runtime;
#[cfg(any(test, feature = "samples"))]
pub mod samples;
mod spec;
mod target;
mod trouble;
mod usage;
mod validation;

pub use coverage::{call_shape, reach};
pub use difference::difference;
pub use hello::Hello;
pub use job::{Built, Inside, Job, Parameter, Phase, Progress, Published, Report, Source, Task};
pub use kernels::{kernels_file, kernels_folder, kernels_root};
pub use library::{Library, Removal};
pub use manifest::Manifest;
pub use profile::{
    PIXELS_PER_LATENT, POSITIONS_PER_PIECE, Profile, Shapes, TOKENS_PER_PIECE, copies, family,
    positions,
};
pub use regular::{open_regular, read_regular};
pub use runtime::Runtime;
pub use spec::{EngineSpec, FLAVOUR, Weights};
pub use target::{Choice, Target, Wanted};
pub use trouble::{is_disk_full, is_trouble};
pub use usage::Usage;
pub use validation::{Accumulation, BOUND, Findings, Limit, Proof, Speed, Validation};
