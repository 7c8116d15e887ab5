//! Turns the daemon's answers into text for people: pure functions.

pub(crate) mod bench;
pub(crate) mod change;
pub(crate) mod coverage;
pub(crate) mod disk;
pub(crate) mod doctor;
pub(crate) mod history;
pub(crate) mod list;
pub(crate) mod look;
pub(crate) mod names;
pub(crate) mod overview;
pub(crate) mod progress;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod store;
pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod verify;
pub(crate) mod webui;

#[cfg(test)]
pub(crate) mod samples;
