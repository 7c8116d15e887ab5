//! The extension in A1111's web UI: where the web UI's folders are, the links in them, and what the
//! configuration says of it.

mod extension;
mod folders;
mod found;
mod places;
mod record;
mod shell;

pub(crate) use extension::{link, source, unlink};
pub(crate) use folders::Folders;
pub(crate) use found::{Found, around, installed};
pub(crate) use record::{forget, record};
