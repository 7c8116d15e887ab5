//! Downloads pinned Python wheels with pip, checks them and unpacks libraries.

mod archive;
mod pip;

pub use archive::{Member, UnpackError, sha256, unpack};
pub use pip::{DownloadError, Package, download};
