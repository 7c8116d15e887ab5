//! The extension in A1111's web UI and Forge's family, and the custom node in ComfyUI: where a front end's folders are,
//! the links in them, and what the configuration says of it.

mod comfyui;
mod extension;
mod folders;
mod found;
mod front_end;
mod models;
mod places;
mod record;
mod shell;

pub(crate) use extension::{link, source, unlink};
pub(crate) use folders::Folders;
pub(crate) use found::{Found, around, installed};
pub(crate) use front_end::FrontEnd;
pub(crate) use record::{forget, record};
