//! torch's format of before 1.6, which `_use_new_zipfile_serialization=False` still writes: five pickles (a number
//! that marks the format, its version, the machine's byte order, the content, and the storages' keys), then the
//! storages in the keys' order, each after its number of elements.
//!
//! Source: `_legacy_save` and `_legacy_load` in torch's `serialization.py`.

use std::collections::HashMap;

use super::{PICKLE_LIMIT, Storages};
use crate::{
    file::Source,
    pickle::{self, Pickle, Value},
    rejection::Rejection,
    view::Extent,
};

/// The most bytes that are read of a file's pickles.
pub(super) const LIMIT: u64 = PICKLE_LIMIT + (1 << 20);

/// The number 0x1950a86a20f9469cfc6c, as a pickle has it.
const MAGIC: &[u8] = &[0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// Bytes of the number before each storage.
const COUNT: u64 = 8;

/// The file's content, and where it ends.
pub(super) struct Legacy<'a> {
    pub(super) content: Pickle<'a>,
    end: usize,
    len: u64,
}

/// Reads the first four pickles of a file of `len` bytes.
pub(super) fn pickle(start: &[u8], len: u64) -> Result<Legacy<'_>, Rejection> {
    let mut end = 0;
    let mut next = || {
        let pickle = pickle_at(start, end, len)?;
        end += pickle.len;
        Ok(pickle)
    };
    let magic = next()?;
    if !start[..magic.len].windows(MAGIC.len()).any(|bytes| bytes == MAGIC) {
        return Err(Rejection::OtherPickle);
    }
    next()?;
    let machine = next()?;
    let is_little = machine
        .dict(machine.top)
        .unwrap_or_default()
        .iter()
        .all(|(key, value)| *key != Value::Text("little_endian") || *value == Value::Int(1));
    if !is_little {
        return Err(Rejection::BigEndian);
    }
    let content = next()?;
    Ok(Legacy { content, end, len })
}

/// Reads the keys, and finds the storages behind them.
pub(super) fn storages(
    file: &Source,
    start: &[u8],
    legacy: &Legacy<'_>,
) -> Result<Storages, Rejection> {
    let keys = pickle_at(start, legacy.end, legacy.len)?;
    let mut at = (legacy.end + keys.len) as u64;
    let mut sizes = HashMap::new();
    for storage in legacy.content.storages() {
        // Later ones are the same storage as another type: the first decides, as in torch.
        sizes.entry(storage.key).or_insert(storage.dtype.map_or(1, pickle::size));
    }
    let mut storages = Storages::new();
    for key in keys.sequence(keys.top).unwrap_or_default() {
        let Value::Text(key) = key else { continue };
        // Whatever nothing refers to has a size that nobody knows.
        let size = sizes.get(key).ok_or(Rejection::BadPickle {
            at: legacy.end as u64,
            reason: "a storage that it does not use",
        })?;
        let data = at.saturating_add(COUNT);
        let mut count = [0; COUNT as usize];
        if data > legacy.len {
            return Err(Rejection::Truncated { expected: data, actual: legacy.len });
        }
        file.read(&mut count, at)?;
        let bytes = u64::from_le_bytes(count).checked_mul(*size);
        let end = bytes.and_then(|bytes| data.checked_add(bytes)).unwrap_or(u64::MAX);
        if end > legacy.len {
            return Err(Rejection::Truncated { expected: end, actual: legacy.len });
        }
        let extent = Extent { start: data, bytes: end - data, packed: None };
        storages.insert((*key).to_owned(), extent);
        at = end;
    }
    Ok(storages)
}

fn pickle_at(start: &[u8], at: usize, len: u64) -> Result<Pickle<'_>, Rejection> {
    let bytes = start.get(at..).unwrap_or_default();
    pickle::read(bytes).map_err(|rejection| match rejection {
        // All of what may be read was read.
        Rejection::BadPickle { .. } if len > LIMIT && bytes.len() as u64 > PICKLE_LIMIT => {
            Rejection::PickleTooLarge { what: "bytes", limit: PICKLE_LIMIT }
        }
        Rejection::BadPickle { reason, at: position } => {
            Rejection::BadPickle { reason, at: position + at as u64 }
        }
        other => other,
    })
}
