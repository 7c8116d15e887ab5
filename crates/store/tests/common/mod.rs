//! What the tests over HTTP share.

#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "a test stops where its surroundings fail")]

pub(crate) mod machine;
pub(crate) mod random;
pub(crate) mod sealing;
pub(crate) mod serve;

use checkpoint::Id;

/// An id made of this text.
pub(crate) fn id(text: &str) -> Id {
    Id::from(blake3::hash(text.as_bytes()))
}
