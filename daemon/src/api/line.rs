use std::sync::Arc;

use serde::Serialize;

/// A message as it goes over the wire, written once however many clients get it.
pub type Line = Arc<[u8]>;

/// One message.
pub fn line(message: &impl Serialize) -> Line {
    // Writing texts, numbers and lists to memory does not fail.
    let mut line = serde_json::to_vec(message).unwrap_or_default();
    line.push(b'\n');
    line.into()
}
