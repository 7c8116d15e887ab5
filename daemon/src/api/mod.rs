//! Clients' requests, and the replies.

pub(crate) mod access;
pub(crate) mod clients;
pub(crate) mod connection;
pub(crate) mod coverage;
pub(crate) mod keeper;
pub(crate) mod line;
pub(crate) mod outlook;
mod reason;
pub(crate) mod reference;
mod seats;
pub(crate) mod server;
pub(crate) mod socket;
pub(crate) mod status;
pub(crate) mod subscribers;
pub(crate) mod view;
pub(crate) mod waiters;

pub use access::Access;
pub(crate) use clients::{About, Asked, Clients};
pub use keeper::keep;
pub use line::{Line, line};
pub use server::{Service, serve};
pub use socket::{Lock, Socket, lock};
pub(crate) use waiters::Waiter;

/// A failure with this message.
pub(crate) fn other(message: &str) -> protocol::Failure {
    protocol::Failure::Other { message: message.to_owned() }
}

/// A path in the form that clients see.
pub(crate) fn text(path: &std::path::Path) -> String {
    protocol::shown_path(path)
}
