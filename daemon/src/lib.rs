//! Keeps TensorRT engines ready for every Stable Diffusion checkpoint in a folder.
//!
//! A file event leads to a look at the disk ([`watch`]), a settled file is read once ([`schedule`]
//! knows what of), a missing engine is built by a worker process and published ([`build`]), and
//! clients are told ([`ipc`]). Builds wait until the machine is idle ([`schedule`] decides, from what
//! [`gpu`], [`cpu`] and [`webui`] tell). [`app`] holds it together.

pub mod app;
pub mod build;
pub mod cpu;
pub mod gpu;
pub mod ipc;
pub mod log;
pub mod memory;
pub mod metrics;
mod probe;
#[cfg(test)]
mod samples;
pub mod schedule;
pub mod store;
pub mod watch;
pub mod webui;

pub use probe::probe;
