//! What `sdtrtd` and its clients say to each other, and the client.
//!
//! One JSON value per line, UTF-8, over a Unix stream socket. Each side sends its [`Hello`] first, and a client
//! with another [`VERSION`] stops there. Then the client sends one [`Request`] per line and gets one [`Reply`] for
//! each, in order; an invalid request gets [`Failure::Malformed`], and a line longer than [`REQUEST_LIMIT`] ends
//! the connection. [`question`] has a function for each request, which ties it to the type of its answer. After
//! [`Request::Watch`] the daemon sends [`Event`]s until the client hangs up: first the whole state, then changes,
//! and the whole state again if the client was too slow for them. An [`Overview`] applies them.
//!
//! ```text
//! client  {"protocol":2,"version":"0.1.0"}
//! daemon  {"protocol":2,"version":"0.1.0"}
//! client  {"request":"check","image":{"width":768,"height":512,"batch":1,"tokens":75}}
//! daemon  {"reply":"coverage","value":[{"weights_id":"9a41dd11…","architecture":"sd2",…}]}
//! client  {"request":"show","reference":"no-such"}
//! daemon  {"reply":"failed","value":{"kind":"not_found","reference":"no-such","similar":[]}}
//! ```
//!
//! Absent fields are null, and may be omitted from a request. Paths are text: bytes that are not UTF-8 become
//! U+FFFD and two hex digits. Everyone who can connect may query ([`Request::only_looks`]); only root, the daemon's own user and the
//! `admins` in its configuration may make changes.
//!
//! ```no_run
//! use std::path::Path;
//!
//! use protocol::{Client, question};
//!
//! let mut client = Client::connect(Path::new("/run/sdtrtd.sock"))?;
//! for checkpoint in client.ask(question::list())? {
//!     println!("{} {}", checkpoint.key(), checkpoint.state);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod address;
mod checkpoint;
mod client;
mod coverage;
mod disk;
mod engine;
mod entry_key;
mod event;
mod gpu;
mod hashing;
mod history;
mod list;
mod machine;
mod names;
mod path;
mod preset;
pub mod question;
mod reload;
mod request;
mod shape;
mod status;
mod store;
mod webui;

pub use ::checkpoint::Id;
pub use address::Address;
pub use checkpoint::{Checkpoint, Coming, State};
pub use client::{AskError, Client, ConnectError, Events};
pub use coverage::{Coverage, Image, PassCoverage};
pub use disk::{Disk, Garbage, Sums};
pub use engine::{Engine, Limit, Proof, Speed, Timing, Unusable, Validation};
pub use entry_key::EntryKey;
pub use event::{Event, Overview, list_changes};
pub use gpu::{GpuProcess, GpuReading};
pub use hashing::Hashing;
pub use history::{Finished, JobLog, Materialized, Outcome};
pub use list::List;
pub use machine::Machine;
pub use names::FileNames;
pub use path::{real_path, shown_path};
pub use preset::{Preset, PresetChange, PresetUse, Sizes};
pub use question::Question;
pub use reload::Reloaded;
pub use request::{CheckpointVerdict, Failure, Hello, Reply, Request, Verdict};
pub use shape::Shape;
pub use status::{Building, Daemon, Gpu, ModelsDir, Queued, Runtime, Status, Task};
pub use store::{PullOutcome, Pulled, StoreStatus};
pub use webui::ExtensionIndex;

/// Incremented when a line's meaning changes; both sides must have the same.
pub const VERSION: u32 = 2;

/// Longest line that the daemon accepts from a client, in bytes.
pub const REQUEST_LIMIT: usize = 64 * 1024;
