//! torch's zip format (`torch.save` since 1.6): a pickle, and one entry per storage.

use std::ops::Range;

use super::zip::{self, Entries};
use crate::{
    file::Source,
    kinds,
    pickle::{self, Pickle, Value, View},
    rejection::Rejection,
    tensor::Tensor,
};

/// The largest pickle that is read: some twenty times SDXL's.
const PICKLE_LIMIT: u64 = 8 << 20;

/// The most dimensions; torch allows 64, checkpoints have 4.
const RANK_LIMIT: usize = 16;

/// Lists the tensors; see [`super::tensors`].
pub(super) fn tensors(file: &Source) -> Result<Vec<Tensor>, Rejection> {
    let entries = zip::entries(file)?;
    let (folder, range) = find_pickle(&entries)?;
    if range.end - range.start > PICKLE_LIMIT {
        return Err(Rejection::PickleTooLarge { what: "bytes", limit: PICKLE_LIMIT });
    }
    if let Some(order) = entries.get(&format!("{folder}byteorder")) {
        let len = (order.end - order.start).min(6);
        if *file.bytes(order.start, len as usize)? != *b"little" {
            return Err(Rejection::BigEndian);
        }
    }
    let bytes = file.bytes(range.start, (range.end - range.start) as usize)?;
    let pickle = pickle::read(&bytes)?;
    let mut tensors = Vec::new();
    for (name, view) in state_dict(&pickle)? {
        let place = Place { pickle: &pickle, entries: &entries, folder, name };
        tensors.push(place.tensor(view)?);
    }
    // The views of real files do not overlap; without this check a small file could cause any amount of
    // reading.
    let mut ranges: Vec<_> = tensors.iter().map(|t| (t.offset, t.bytes)).collect();
    ranges.sort_unstable();
    ranges.dedup();
    let total = ranges.iter().try_fold(0u64, |sum, (_, bytes)| sum.checked_add(*bytes));
    if total.is_none_or(|total| total > file.len()) {
        return Err(Rejection::BadZip { reason: "its tensors overlap".into() });
    }
    if tensors.is_empty() { Err(Rejection::NoTensors) } else { Ok(tensors) }
}

/// Returns the folder that contains everything, with its slash, and the range of the pickle.
fn find_pickle(entries: &Entries) -> Result<(&str, Range<u64>), Rejection> {
    let mut found = entries.iter().filter_map(|(name, range)| {
        let folder = name.strip_suffix("data.pkl")?;
        let top = folder.is_empty() || folder.find('/') == Some(folder.len() - 1);
        top.then(|| (folder, range.clone()))
    });
    match (found.next(), found.next()) {
        (Some(pickle), None) => Ok(pickle),
        (None, _) => Err(Rejection::NotACheckpoint),
        _ => Err(Rejection::BadZip { reason: "it holds two data.pkl".into() }),
    }
}

/// Returns the state dict's tensors by name, without repeated names.
fn state_dict<'p, 'a>(pickle: &'p Pickle<'a>) -> Result<Vec<(&'a str, &'p View<'a>)>, Rejection> {
    let Some(top) = pickle.dict(pickle.top) else { return Err(Rejection::NoTensors) };
    let named = |wanted: &str| {
        let mut items = top.iter().rev();
        items
            .find(|(key, _)| matches!(key, Value::Text(text) if *text == wanted))
            .map(|item| item.1)
    };
    if named("string_to_param").is_some() {
        return Err(Rejection::Other(kinds::embedding()));
    }
    let items = named("state_dict").and_then(|value| pickle.dict(value)).unwrap_or(top);
    let mut tensors = Vec::new();
    for (key, value) in items {
        match (key, pickle.tensor(*value)) {
            (Value::Text(name), Some(view)) => tensors.push((*name, view)),
            (_, Some(_)) => {
                let tensor = "without a name".into();
                return Err(Rejection::BadTensor { tensor, reason: "cannot be told apart" });
            }
            // Step counters and similar entries.
            (_, None) => {}
        }
    }
    // Before any name is copied: a pickle can repeat a long name at little cost.
    tensors.sort_unstable_by_key(|(name, _)| *name);
    match tensors.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(Rejection::DuplicateName { name: pair[0].0.to_owned() }),
        None => Ok(tensors),
    }
}

/// The context of one tensor, for error messages and lookups.
struct Place<'a> {
    pickle: &'a Pickle<'a>,
    entries: &'a Entries,
    folder: &'a str,
    name: &'a str,
}

impl Place<'_> {
    fn bad(&self, reason: &'static str) -> Rejection {
        Rejection::BadTensor { tensor: self.name.to_owned(), reason }
    }

    fn tensor(&self, view: &View<'_>) -> Result<Tensor, Rejection> {
        let overflow = || self.bad("is larger than any memory");
        let shape = self.numbers(view.shape)?;
        let strides = self.numbers(view.strides)?;
        let storage =
            self.pickle.storage(view.storage).ok_or_else(|| self.bad("has no storage"))?;
        let dtype = view.dtype.or(storage.dtype).ok_or_else(|| self.bad("has no dtype"))?;
        let count = shape.iter().try_fold(1u64, |count, dimension| count.checked_mul(*dimension));
        let count = count.ok_or_else(overflow)?;
        if shape.len() != strides.len() {
            return Err(self.bad("has no proper shape"));
        }
        if count > 0 && !contiguous(&shape, &strides) {
            return Err(Rejection::Strided { tensor: self.name.to_owned() });
        }
        let bytes = count.checked_mul(dtype.size()).ok_or_else(overflow)?;
        let skipped = view.offset.checked_mul(dtype.size()).ok_or_else(overflow)?;
        let declared = storage.count.checked_mul(storage.dtype.map_or(1, |dtype| dtype.size()));
        let entry = self.entries.get(&format!("{}data/{}", self.folder, storage.key));
        let entry = entry.ok_or_else(|| self.bad("has no data in the archive"))?;
        // torch reads as many bytes as the pickle declares; both sizes must be large enough.
        let room = declared.ok_or_else(overflow)?.min(entry.end - entry.start);
        if skipped.checked_add(bytes).is_none_or(|end| end > room) {
            return Err(self.bad("reaches beyond its storage"));
        }
        let name = self.name.to_owned();
        Ok(Tensor { name, dtype, shape, offset: entry.start + skipped, bytes })
    }

    /// A tuple of sizes or strides.
    fn numbers(&self, value: Value<'_>) -> Result<Vec<u64>, Rejection> {
        let items = self.pickle.sequence(value).filter(|items| items.len() <= RANK_LIMIT);
        let items = items.ok_or_else(|| self.bad("has no proper shape"))?;
        let number = |item: &Value<'_>| match item {
            Value::Int(number) => u64::try_from(*number).ok(),
            _ => None,
        };
        items
            .iter()
            .map(number)
            .collect::<Option<_>>()
            .ok_or_else(|| self.bad("has no proper shape"))
    }
}

/// Whether the elements are contiguous in row-major order. Dimensions of 1 may have any stride.
fn contiguous(shape: &[u64], strides: &[u64]) -> bool {
    let mut expected = 1u64;
    shape.iter().zip(strides).rev().all(|(dimension, stride)| {
        let fits = *dimension == 1 || *stride == expected;
        expected = expected.saturating_mul(*dimension);
        fits
    })
}
