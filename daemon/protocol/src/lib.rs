//! What `sdtrtd` and its clients say to each other, and the client.
//!
//! One JSON value a line, UTF-8, over a Unix stream socket. Each side sends its [`Hello`] first,
//! and a client whose [`VERSION`] differs goes no further. Then the client sends one [`Request`] a
//! line and gets one [`Reply`] for each, in order. After [`Request::Watch`] the daemon sends
//! [`Event`]s until the client hangs up: the whole state first, then what changes.

mod client;
mod coverage;
mod disk;
mod gpu;
mod history;
mod machine;
mod reload;
mod request;
mod state;
mod webui;

pub use client::{Client, ConnectError, Events};
pub use coverage::{Coverage, Image, PassCoverage};
pub use disk::{Disk, Garbage, Sums};
pub use gpu::{GpuProcess, GpuReading};
pub use history::{Finished, JobLog, Materialized, Outcome};
pub use machine::Machine;
pub use reload::Reloaded;
pub use request::{Event, Failure, Hello, Reply, Request, Verdict};
pub use state::{
    Building, Checkpoint, Daemon, Engine, Gpu, ModelsDir, Proof, Queued, Runtime, Speed, State,
    Status, Task, Trial,
};
pub use webui::ExtensionIndex;

/// Raised whenever a line's meaning changes; both sides must have the same.
pub const VERSION: u32 = 1;

/// Longest line that the daemon accepts from a client, in bytes.
pub const REQUEST_LIMIT: usize = 64 * 1024;
