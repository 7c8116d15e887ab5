//! Tensors that do not lie in their file as they are: strided, deflated or lazily negated ones of torch files.

mod gather;
mod list;
mod reader;

pub(crate) use list::Views;
pub(crate) use reader::Reader;

use crate::tensor::Dtype;

/// Where bytes lie in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Extent {
    /// The position of the first byte in the file.
    pub(crate) start: u64,
    /// The number of bytes, once they are inflated.
    pub(crate) bytes: u64,
    /// The number of bytes in the file, if they are deflated.
    pub(crate) packed: Option<u64>,
}

/// The numbers whose sign is the opposite of the stored one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Flip {
    /// Bytes of a number.
    width: usize,
    /// Whether it is so for the first, third, … number, and for the second, fourth, …: a complex number is two.
    signs: [bool; 2],
}

impl Flip {
    /// For torch's lazy negation and conjugation, if there is anything to do and the type has signs.
    pub(crate) fn new(
        dtype: Dtype,
        is_negated: bool,
        is_conjugated: bool,
    ) -> Result<Option<Self>, &'static str> {
        let (width, signs) = match dtype {
            Dtype::F64 => (8, [is_negated; 2]),
            Dtype::F32 => (4, [is_negated; 2]),
            Dtype::F16 | Dtype::Bf16 => (2, [is_negated; 2]),
            Dtype::C32 => (2, [is_negated, is_negated ^ is_conjugated]),
            Dtype::C128 => (8, [is_negated, is_negated ^ is_conjugated]),
            Dtype::C64 => (4, [is_negated, is_negated ^ is_conjugated]),
            _ if is_negated => return Err("is to be negated, which its type can't be"),
            _ => return Ok(None),
        };
        Ok(signs.contains(&true).then_some(Self { width, signs }))
    }

    /// Flips the signs of whole elements.
    fn apply(self, bytes: &mut [u8]) {
        for (number, sign) in bytes.chunks_exact_mut(self.width).zip(self.signs.iter().cycle()) {
            if let (true, Some(last)) = (sign, number.last_mut()) {
                *last ^= 0x80;
            }
        }
    }
}

/// A tensor as a view of bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct View {
    extent: Extent,
    /// Bytes of the extent before the first element.
    skipped: u64,
    /// Bytes of an element.
    element: u64,
    /// Size and stride of each dimension, outermost first, in elements. None has the size 1, and neighbours
    /// that can be one are one: what is contiguous has at most one.
    dimensions: Vec<(u64, u64)>,
    flip: Option<Flip>,
}

impl View {
    /// A view with this shape and these strides, of the first `room` bytes of the extent; strides and what is
    /// skipped are counted in elements.
    ///
    /// # Errors
    /// To follow the tensor's name.
    pub(crate) fn new(
        extent: Extent,
        room: u64,
        element: u64,
        skipped: u64,
        shape: &[u64],
        strides: &[u64],
    ) -> Result<Self, &'static str> {
        const TOO_LARGE: &str = "is larger than any memory";
        const BEYOND: &str = "reaches beyond its storage";
        let count = shape.iter().try_fold(1u64, |count, size| count.checked_mul(*size));
        let count = count.ok_or(TOO_LARGE)?;
        count.checked_mul(element).ok_or(TOO_LARGE)?;
        let skipped = skipped.checked_mul(element).ok_or(TOO_LARGE)?;
        if shape.len() != strides.len() {
            return Err("has no proper shape");
        }
        if count == 0 {
            // torch does not look where it is.
            return Ok(Self { extent, skipped: 0, element, dimensions: vec![(0, 1)], flip: None });
        }
        let mut dimensions: Vec<(u64, u64)> = Vec::new();
        let mut last = 0u64;
        for (&size, &stride) in shape.iter().zip(strides).filter(|(size, _)| **size != 1) {
            let reach = (size - 1).checked_mul(stride);
            last = reach.and_then(|at| at.checked_add(last)).ok_or(BEYOND)?;
            match dimensions.last_mut() {
                Some(outer) if size.checked_mul(stride) == Some(outer.1) => {
                    *outer = (outer.0 * size, stride);
                }
                _ => dimensions.push((size, stride)),
            }
        }
        let end =
            last.checked_add(1).and_then(|last| last.checked_mul(element)?.checked_add(skipped));
        if end.is_none_or(|end| end > room.min(extent.bytes)) {
            return Err(BEYOND);
        }
        Ok(Self { extent, skipped, element, dimensions, flip: None })
    }

    /// The same with other signs.
    pub(crate) fn flipped(self, flip: Option<Flip>) -> Self {
        Self { flip, ..self }
    }

    /// The bytes of its elements.
    pub(crate) fn bytes(&self) -> u64 {
        self.count() * self.element
    }

    /// Its position in the file, if its elements lie there one after the other.
    pub(crate) fn in_place(&self) -> Option<u64> {
        let plain = self.is_contiguous() && self.extent.packed.is_none() && self.flip.is_none();
        (plain || self.count() == 0).then_some(self.extent.start + self.skipped)
    }

    /// The position of the storage that it is a view of.
    pub(crate) fn storage(&self) -> u64 {
        self.extent.start
    }

    /// Whether its elements are collected in memory, part by part.
    pub(crate) fn is_gathered(&self) -> bool {
        !self.is_contiguous()
    }

    fn count(&self) -> u64 {
        self.dimensions.iter().map(|(size, _)| size).product()
    }

    fn is_contiguous(&self) -> bool {
        matches!(self.dimensions[..], [] | [(_, 1)])
    }
}
