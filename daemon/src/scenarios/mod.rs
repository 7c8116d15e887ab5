//! The whole daemon on a stage: what becomes of checkpoints and engines as events come.

mod coverage;
mod gate;
mod hashing;
mod index;
mod measure;
mod orders;
mod retention;
mod shapes;
mod stage;
mod troubles;
mod validation;
mod watching;
