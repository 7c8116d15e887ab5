//! Runs the real programs in temporary folders, as a user would.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "this is test code")]

mod daemon;
mod engine;
mod notices;
mod programs;
mod stand_in;
mod watching;
pub mod ways;
mod webui;
mod workplace;

pub use daemon::Daemon;
pub use rustix::process::Signal;
pub use watching::Watching;
pub use webui::WebUi;
pub use workplace::{Answer, Workplace};
