//! Libraries out of pinned Python wheels: downloaded by pip, checked, unpacked.

mod archive;
mod pip;

pub use archive::{Member, UnpackError, sha256, unpack};
pub use pip::{DownloadError, Package, download};
