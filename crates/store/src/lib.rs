//! What machines share: engines, the kernels compiled for one GPU model, driver and TensorRT, what validations found, and
//! what files were found to be. It lies in a folder or in an object store, below `v1/` of an [`Address`].
//!
//! A plan is executable code, so whoever can write to the store is not believed. Every object but claims and blobs is
//! *sealed*: the four lines of a minisign signature file, then JSON. The signature covers the object's name and the time,
//! and only the keys of [`Trust`] count. Blobs are named by the BLAKE3 of their content, which sealed objects tell.
//! Whatever is torn, foreign, swapped or older than what was seen before is [`Refused`](StoreError::Refused), and whoever
//! asked does without.
//!
//! | object | content |
//! | --- | --- |
//! | `engines/KEY.sealed` | [`SharedEngine`] |
//! | `validations/MACHINE/KEY.sealed` | [`engine::Validation`]; MACHINE is [`engine::kernels_folder`] |
//! | `kernels/MACHINE/KEY.sealed` | [`SharedKernels`] |
//! | `contents/FINGERPRINT.sealed` | what a file was found to be, in the caller's form |
//! | `blobs/BLAKE3.zst` | a plan or a kernel cache, compressed |
//! | `claims/FINGERPRINT/N` | who reads a file for its hash: not signed, as it can only delay |

mod address;
mod backend;
mod blob;
mod breaker;
mod claims;
mod contents;
mod engines;
mod error;
mod fault;
mod gc;
mod inventory;
mod key;
mod leftovers;
mod limits;
mod machines;
mod names;
mod pack;
mod profile;
mod provider;
mod reach;
mod sealed;
mod seen;
mod store;
#[cfg(test)]
mod tests;
mod trust;
mod unpack;

pub use address::{Address, BadAddress};
pub use blob::sweep;
pub use breaker::{Breaker, BreakerLimits};
pub use claims::Claim;
pub use engines::SharedEngine;
pub use error::{Refusal, StoreError};
pub use gc::{Collected, GcPolicy};
pub use inventory::{Kind, Listed, Verdict};
pub use key::{BadKey, PublicKey, SigningKey};
pub use limits::Limits;
pub use machines::SharedKernels;
pub use store::{Put, Store};
pub use trust::{Opened, Trust};
