//! What workers do for the daemon.

pub(crate) mod building;
pub(crate) mod history;
pub(crate) mod logs;
pub(crate) mod materializing;
pub(crate) mod running;
pub(crate) mod validating;
