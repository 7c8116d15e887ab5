//! What a pickle describes.

use std::ops::Range;

use super::global::Global;
use crate::tensor::Dtype;

/// A value: small, and copied freely. Containers are handles into [`Pickle`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    /// `None`.
    None,
    /// A whole number of at most 64 bits, `True` and `False` included.
    Int(i64),
    /// A text.
    Text(&'a str),
    /// A tuple: a range of the pool.
    Tuple(u32, u32),
    /// A list.
    List(u32),
    /// A dict.
    Dict(u32),
    /// A name from the allowed list.
    Global(Global),
    /// A storage.
    Storage(u32),
    /// A tensor.
    Tensor(u32),
    /// Anything that does not matter: floats, bytes, sets, large numbers, objects.
    Opaque,
}

/// A stretch of typed memory, kept in an entry of the archive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Storage<'a> {
    /// Type of the elements; `None` for bytes.
    pub(crate) dtype: Option<Dtype>,
    /// Name of the entry under `data/`.
    pub(crate) key: &'a str,
    /// Number of elements.
    pub(crate) count: u64,
}

/// A tensor: a view of a storage. Nothing has been checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct View<'a> {
    /// Handle of the storage.
    pub(crate) storage: u32,
    /// Its own type, where it is not the storage's.
    pub(crate) dtype: Option<Dtype>,
    /// Elements before the first.
    pub(crate) offset: u64,
    /// Dimensions.
    pub(crate) shape: Value<'a>,
    /// Elements from one to the next along each dimension.
    pub(crate) strides: Value<'a>,
}

/// Everything that a pickle described.
#[derive(Debug)]
pub(crate) struct Pickle<'a> {
    /// What it was a pickle of.
    pub(crate) top: Value<'a>,
    pub(super) pool: Vec<Value<'a>>,
    pub(super) lists: Vec<Vec<Value<'a>>>,
    pub(super) dicts: Vec<Vec<(Value<'a>, Value<'a>)>>,
    pub(super) storages: Vec<Storage<'a>>,
    pub(super) tensors: Vec<View<'a>>,
}

impl<'a> Pickle<'a> {
    /// The items of a dict, in the order in which they were set.
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

    /// A tensor.
    pub(crate) fn tensor(&self, value: Value<'_>) -> Option<&View<'a>> {
        let Value::Tensor(handle) = value else { return None };
        self.tensors.get(handle as usize)
    }

    /// A storage.
    pub(crate) fn storage(&self, handle: u32) -> Option<&Storage<'a>> {
        self.storages.get(handle as usize)
    }
}
