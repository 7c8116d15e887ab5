use checkpoint::Id;
use serde::{Deserialize, Serialize};

/// What people and other programs know a checkpoint's file by. A hash is absent until the file has been read for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FileNames {
    /// The file.
    pub location: String,
    /// Of its tensors; absent until they have been read.
    pub weights_id: Option<Id>,
    /// What a file beside it calls it, or else `modelspec.title` of its metadata.
    pub title: Option<String>,
    /// The picture beside it that front ends show.
    pub picture: Option<String>,
    /// The files beside it that belong to it.
    pub sidecars: Vec<String>,
    /// Of the whole file; A1111's, as long as the file has not been read for it here.
    pub sha256: Option<String>,
    /// What A1111 called it at first.
    pub autov1: Option<String>,
    /// The first ten digits of `sha256`, as A1111 shows them in square brackets.
    pub autov2: Option<String>,
    /// The first twelve digits of the SHA-256 of what follows a safetensors header.
    pub autov3: Option<String>,
    /// Of the whole file.
    pub crc32: Option<String>,
    /// Of the whole file; ComfyUI writes `blake3:` before it.
    pub blake3: Option<String>,
    /// `modelspec.hash_sha256` of its metadata, which covers what follows the header.
    pub stated_sha256: Option<String>,
}
