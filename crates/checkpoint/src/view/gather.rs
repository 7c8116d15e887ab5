//! Which bytes the elements of a strided view have.

use std::ops::Range;

use super::View;

impl View {
    /// Elements in a row, and the dimensions outside them.
    fn rows(&self) -> (u64, &[(u64, u64)]) {
        match self.dimensions.split_last() {
            Some((&(size, 1), outer)) => (size, outer),
            _ => (1, &self.dimensions),
        }
    }

    /// The positions, in elements, that contain those of some elements, which are numbered in row-major order.
    /// There is at least one.
    pub(super) fn span(&self, elements: &Range<u64>) -> Range<u64> {
        let (mut first, mut last) = (elements.start, elements.end.saturating_sub(1));
        let mut below = self.count();
        let (mut start, mut end) = (0, 0);
        let mut is_same = true;
        for (size, stride) in &self.dimensions {
            below /= size;
            let (low, high) = (first / below, last / below);
            (first, last) = (first % below, last % below);
            if is_same {
                start += low * stride;
                end += high * stride;
                is_same = low == high;
            } else {
                // An index outside has already changed: all of this dimension may be in it.
                end += (size - 1) * stride;
            }
        }
        start..end + 1
    }

    /// Copies those of some elements whose positions are in `window`, of which `from` has the bytes, to their
    /// places in `to`, which is for all of these elements.
    pub(super) fn gather(
        &self,
        elements: &Range<u64>,
        window: &Range<u64>,
        from: &[u8],
        to: &mut [u8],
    ) {
        let (row, outer) = self.rows();
        let bytes = |elements: u64| (elements * self.element) as usize;
        let (mut index, mut at) = position(outer, elements.start / row);
        let mut element = elements.start;
        while element < elements.end {
            let within = element % row;
            let len = (row - within).min(elements.end - element);
            let (first, last) = (at + within, at + within + len);
            let (start, end) = (first.max(window.start), last.min(window.end));
            if start < end {
                let to = &mut to[bytes(element - elements.start + start - first)..];
                let from = &from[bytes(start - window.start)..bytes(end - window.start)];
                to[..from.len()].copy_from_slice(from);
            }
            element += len;
            advance(outer, &mut index, &mut at);
        }
    }
}

/// The indices and the position of a row.
fn position(dimensions: &[(u64, u64)], row: u64) -> (Vec<u64>, u64) {
    let mut index = vec![0; dimensions.len()];
    let (mut rest, mut at) = (row, 0);
    for (index, (size, stride)) in index.iter_mut().zip(dimensions).rev() {
        *index = rest % size;
        rest /= size;
        at += *index * stride;
    }
    (index, at)
}

/// Goes on to the next row.
fn advance(dimensions: &[(u64, u64)], index: &mut [u64], at: &mut u64) {
    for (index, (size, stride)) in index.iter_mut().zip(dimensions).rev() {
        *index += 1;
        *at += stride;
        if *index < *size {
            return;
        }
        *at -= *index * stride;
        *index = 0;
    }
}
