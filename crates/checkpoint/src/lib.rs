//! Reads checkpoints: their tensors, ids and architecture.
//!
//! [`Checkpoint::open`] reads only a file's header and says what the file is, or why it can't be used
//! ([`Rejection`]). [`Checkpoint::ids`] reads every tensor once. Nothing here trusts the file: sizes are
//! checked before memory is allocated, arithmetic is checked, and a pickle's code is never run.

mod architecture;
mod checkpoint;
mod diffusers;
mod digests;
mod encoded;
mod excerpt;
mod extra;
mod file;
mod file_name;
mod file_system;
mod fingerprint;
mod formats;
mod guess;
mod hash;
mod id;
mod identity;
mod kinds;
mod metadata;
mod names;
mod numbers;
mod pickle;
mod plain;
mod quantised;
mod rejection;
mod remark;
mod remedy;
mod sample;
mod shards;
mod sidecars;
mod signature;
mod size;
mod stamp;
mod start;
mod tensor;
mod view;

pub use architecture::{Architecture, Heads, Kind};
pub use checkpoint::Checkpoint;
pub use digests::Digests;
pub use excerpt::Excerpt;
pub use extra::is_dropped;
pub use file_name::is_checkpoint_name;
pub use file_system::{FileSystem, Inodes};
pub use fingerprint::fingerprint;
pub use hash::unet_id;
pub use id::{Id, Ids, NotAnId};
pub use identity::Identity;
pub use kinds::OtherKind;
pub use plain::{Plain, plain_dict};
pub use quantised::Scaling;
pub use rejection::Rejection;
pub use remark::{NotInA1111, Remark};
pub use sample::Sample;
pub use sidecars::{Folder, Sidecars};
pub use signature::signature;
pub use stamp::{FileId, Stamp};
pub use tensor::{Dtype, Tensor, UNET_PREFIX};
