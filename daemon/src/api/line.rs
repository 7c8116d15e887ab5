use std::sync::Arc;

use serde::Serialize;

/// An encoded message, shared by all clients that get it.
pub type Line = Arc<[u8]>;

/// Encodes a message as one line.
pub fn line(message: &impl Serialize) -> Line {
    // Serializing strings, numbers and lists to memory can't fail.
    let mut line = serde_json::to_vec(message).unwrap_or_default();
    line.push(b'\n');
    line.into()
}
