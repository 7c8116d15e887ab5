//! The views of a file, each with a position of its own, and what reading all of them takes.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    ops::Range,
};

use super::{Reader, View, reader::BLOCK};
use crate::{file::Source, rejection::Rejection, tensor::Tensor};

/// What may be read of views, beside four times the file's size: some more than SDXL's weights in fp32. A small
/// file could otherwise cause any amount of reading.
const ALLOWANCE: u64 = 16 << 30;

/// Views, as if they were written one after the other behind the file's end: a tensor's offset tells its view.
#[derive(Debug, Default)]
pub(crate) struct Views {
    at: BTreeMap<u64, View>,
    known: BTreeMap<View, u64>,
    end: u64,
}

impl Views {
    /// No views yet, of a file of this size.
    pub(crate) fn of_file(len: u64) -> Self {
        Self { end: len, ..Self::default() }
    }

    /// Returns the offset of a view, which is its own if its elements lie in the file one after the other.
    pub(crate) fn place(&mut self, view: View) -> Result<u64, Rejection> {
        if let Some(offset) = view.in_place() {
            return Ok(offset);
        }
        match self.known.entry(view) {
            Entry::Occupied(known) => Ok(*known.get()),
            Entry::Vacant(new) => {
                let offset = self.end;
                let end = offset.checked_add(new.key().bytes());
                self.end = end.ok_or(Rejection::TooMuchData)?;
                self.at.insert(offset, new.key().clone());
                new.insert(offset);
                Ok(offset)
            }
        }
    }

    /// The view at an offset; `None` if it is in place.
    pub(crate) fn at(&self, offset: u64) -> Option<&View> {
        self.at.get(&offset)
    }

    /// Reads a tensor's bytes, wherever they are; the caller has limited their number.
    pub(crate) fn read(&self, source: &Source, tensor: &Tensor) -> Result<Vec<u8>, Rejection> {
        let Some(view) = self.at(tensor.offset) else {
            return Ok(source.bytes(tensor.offset, tensor.bytes as usize)?.into_owned());
        };
        let mut bytes = Vec::new();
        Reader::new(source).read(view, &mut |part| bytes.extend_from_slice(part))?;
        Ok(bytes)
    }

    /// Every view and its offset, in the order in which they are read best: by what they are views of, and of a
    /// deflated entry from its front.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = (&View, u64)> {
        self.known.iter().map(|(view, offset)| (view, *offset))
    }

    /// Fails if reading everything once, `in_place` bytes beside the views, takes longer than any checkpoint of
    /// this size needs.
    pub(crate) fn check_work(&self, in_place: u64, file: u64) -> Result<(), Rejection> {
        let limit = file.saturating_mul(4).saturating_add(ALLOWANCE);
        let mut work = in_place;
        let mut read = (0, 0);
        for (view, _) in self.in_order() {
            if view.bytes() > limit || work > limit {
                return Err(Rejection::TooMuchData);
            }
            if read.0 != view.extent.start {
                read = (view.extent.start, 0);
            }
            work = work.saturating_add(view.work(&mut read.1));
        }
        if work > limit { Err(Rejection::TooMuchData) } else { Ok(()) }
    }
}

impl View {
    /// Its elements, in parts that are gathered at once.
    pub(super) fn blocks(&self) -> impl Iterator<Item = Range<u64>> {
        let (step, count) = (BLOCK / self.element, self.count());
        (0..count.div_ceil(step)).map(move |part| part * step..count.min((part + 1) * step))
    }

    /// The bytes that reading it takes, if the deflated entry has been read up to `inflated`.
    fn work(&self, inflated: &mut u64) -> u64 {
        let pass = |start: u64, end: u64, inflated: &mut u64| {
            let from = match self.extent.packed {
                None => start,
                Some(_) if *inflated <= start => *inflated,
                Some(_) => 0,
            };
            *inflated = end;
            end - from
        };
        if self.is_contiguous() {
            return pass(self.skipped, self.skipped + self.bytes(), inflated);
        }
        self.blocks().fold(0, |work, elements| {
            let span = self.span(&elements);
            let [start, end] = [span.start, span.end].map(|at| self.skipped + at * self.element);
            // Every element is looked for in every window.
            let windows = (end - start).div_ceil(BLOCK);
            work.saturating_add(pass(start, end, inflated))
                .saturating_add(windows.saturating_mul(BLOCK))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Extent;

    /// Each block of a transposed matrix spans all of it.
    #[test]
    fn a_single_view_can_take_too_long() {
        const BYTES: u64 = 256 << 20;
        let extent = Extent { start: 0, bytes: BYTES, packed: None };
        for (shape, strides, is_refused) in [
            ([8192, 16384], [16384, 1], false),
            ([16384, 8192], [1, 16384], true),
            ([64, 8192], [1, 16384], false),
        ] {
            let mut views = Views::of_file(BYTES);
            views.place(View::new(extent, BYTES, 2, 0, &shape, &strides).unwrap()).unwrap();
            let checked = views.check_work(0, BYTES);
            assert_eq!(matches!(checked, Err(Rejection::TooMuchData)), is_refused, "{shape:?}");
        }
    }
}
