//! How engines are built, and with what.
//!
//! TensorRT itself lives in `sdtrt-worker` alone, a process of its own for each job: a crash or a leak in it
//! costs one job and never the daemon.

mod runtime;
mod supervisor;
mod worker;

pub use runtime::{RuntimeProblem, find_runtime};
pub use supervisor::{Builder, Doing, Done, Failure, Hear, WorkerProcess, log_name};
pub use worker::WorkerProblem;
