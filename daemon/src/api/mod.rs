//! What clients ask, and what they are told.

pub(crate) mod access;
pub(crate) mod answers;
pub(crate) mod connection;
pub(crate) mod coverage;
pub(crate) mod disk;
pub(crate) mod line;
pub(crate) mod outlook;
pub(crate) mod reference;
pub(crate) mod requests;
pub(crate) mod server;
pub(crate) mod socket;
pub(crate) mod subscribers;
pub(crate) mod view;
pub(crate) mod waiters;

pub use access::Access;
pub use line::{Line, line};
pub use server::{Service, serve};
pub use socket::{Lock, Socket, lock};
