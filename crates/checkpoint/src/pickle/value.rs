//! The values in a pickle.

use std::ops::Range;

use super::global::Global;
use crate::tensor::Dtype;

/// A value: small and `Copy`. Containers are handles into [`Pickle`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    /// `None`.
    None,
    /// An integer of at most 64 bits, or a boolean.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// A text.
    Text(&'a str),
    /// A tuple: a range of the pool.
    Tuple(u32, u32),
    /// A list.
    List(u32),
    /// A dict.
    Dict(u32),
    /// A global name from the allowed list.
    Global(Global),
    /// A storage.
    Storage(u32),
    /// A tensor.
    Tensor(u32),
    /// Anything irrelevant: bytes, sets, large integers, objects.
    Opaque,
}

/// A storage: typed memory in an entry of the archive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Storage<'a> {
    /// The type of the elements; `None` for bytes.
    pub(crate) dtype: Option<Dtype>,
    /// The entry's name under `data/`.
    pub(crate) key: &'a str,
    /// The number of elements.
    pub(crate) count: u64,
    /// The elements before the first one: old versions of torch wrote parts of storages.
    pub(crate) skipped: u64,
}

/// A tensor. Nothing in it has been checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rebuilt<'a> {
    /// A view of a storage.
    View(StoredView<'a>),
    /// A shape without data.
    Meta {
        /// The dimensions.
        shape: Value<'a>,
    },
    /// One that consists of others, such as a sparse one.
    Of {
        /// Its kind.
        kind: &'static str,
        /// The others, among other values, in sequences.
        parts: Value<'a>,
    },
}

/// A view of a storage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct StoredView<'a> {
    /// The handle of the storage.
    pub(crate) storage: u32,
    /// The element type, if it differs from the storage's.
    pub(crate) dtype: Option<Dtype>,
    /// The number of elements before the first.
    pub(crate) offset: u64,
    /// The dimensions.
    pub(crate) shape: Value<'a>,
    /// The number of elements from one to the next, for each dimension.
    pub(crate) strides: Value<'a>,
    /// Lazy negation and conjugation: a dict of the bits that are set, or `None`.
    pub(crate) bits: Value<'a>,
}

/// The contents of a pickle.
#[derive(Debug)]
pub(crate) struct Pickle<'a> {
    /// The pickled value itself.
    pub(crate) top: Value<'a>,
    /// The bytes of the pickle.
    pub(crate) len: usize,
    /// The pickle protocol.
    pub(crate) protocol: u8,
    /// The first name that A1111's own check does not allow.
    pub(crate) unknown_to_a1111: Option<String>,
    pub(super) pool: Vec<Value<'a>>,
    pub(super) lists: Vec<Vec<Value<'a>>>,
    pub(super) dicts: Vec<Vec<(Value<'a>, Value<'a>)>>,
    pub(super) storages: Vec<Storage<'a>>,
    pub(super) tensors: Vec<Rebuilt<'a>>,
}

impl<'a> Pickle<'a> {
    /// The items of a dict, in insertion order.
    pub(crate) fn dict(&self, value: Value<'_>) -> Option<&[(Value<'a>, Value<'a>)]> {
        let Value::Dict(handle) = value else { return None };
        self.dicts.get(handle as usize).map(Vec::as_slice)
    }

    /// The items of a tuple or list.
    pub(crate) fn sequence(&self, value: Value<'_>) -> Option<&[Value<'a>]> {
        match value {
            Value::Tuple(start, end) => {
                self.pool.get(Range { start: start as usize, end: end as usize })
            }
            Value::List(handle) => self.lists.get(handle as usize).map(Vec::as_slice),
            _ => None,
        }
    }

    /// Returns a tensor.
    pub(crate) fn tensor(&self, value: Value<'_>) -> Option<&Rebuilt<'a>> {
        let Value::Tensor(handle) = value else { return None };
        self.tensors.get(handle as usize)
    }

    /// Every storage.
    pub(crate) fn storages(&self) -> &[Storage<'a>] {
        &self.storages
    }

    /// Whether a dict has a true value under this key.
    pub(crate) fn is_set(&self, dict: Value<'_>, key: &str) -> bool {
        let mut items = self.dict(dict).unwrap_or_default().iter();
        items.any(|(name, value)| *name == Value::Text(key) && *value == Value::Int(1))
    }

    /// Returns a storage.
    pub(crate) fn storage(&self, handle: u32) -> Option<&Storage<'a>> {
        self.storages.get(handle as usize)
    }
}
