//! The whole daemon on a stage: what becomes of checkpoints and engines as events come.

mod cards;
mod coverage;
mod gate;
mod gpus;
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
