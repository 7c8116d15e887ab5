//! From what a pickle says of a tensor to where its bytes are.

use super::{Contents, Storages};
use crate::{
    pickle::{self, Pickle, Rebuilt, Value},
    rejection::Rejection,
    tensor::{Dtype, Tensor},
    view::{Flip, View},
};

/// The most dimensions; torch allows 64, checkpoints have 4.
const RANK_LIMIT: usize = 16;

/// The most arguments that are looked at for the tensors that a sparse or nested one consists of.
const PARTS: usize = 8;

/// The context of one tensor, for error messages and lookups.
pub(super) struct Place<'a> {
    pub(super) pickle: &'a Pickle<'a>,
    pub(super) storages: &'a Storages,
    pub(super) name: &'a str,
}

impl<'a> Place<'a> {
    /// Adds the tensor. One that consists of others is an empty one of its kind, and its parts, so that what they
    /// hold is part of the ids.
    pub(super) fn add(
        &self,
        tensor: &Rebuilt<'_>,
        contents: &mut Contents,
    ) -> Result<(), Rejection> {
        match *tensor {
            Rebuilt::View(view) => {
                let tensor = self.tensor(&view, contents)?;
                contents.tensors.push(tensor);
            }
            Rebuilt::Meta { shape } => {
                let shape = self.numbers(shape)?;
                contents.tensors.extend(self.empty("META", shape));
            }
            Rebuilt::Of { kind, parts } => {
                let (views, shape) = self.parts(parts);
                contents.tensors.extend(self.empty(kind, shape));
                for (number, view) in views.into_iter().enumerate() {
                    let name = format!("{}.{kind}.{number}", self.name);
                    let place = Place { name: &name, ..*self };
                    let part = place.tensor(&view, contents)?;
                    contents.tensors.push(part);
                }
            }
        }
        Ok(())
    }

    fn bad(&self, reason: &'static str) -> Rejection {
        Rejection::BadTensor { tensor: self.name.to_owned(), reason }
    }

    fn empty(&self, kind: &'static str, shape: Vec<u64>) -> Option<Tensor> {
        let dtype = Dtype::named(kind)?;
        Some(Tensor { name: self.name.to_owned(), dtype, shape, offset: 0, bytes: 0 })
    }

    /// The tensors in arguments, or in a tuple that is one of them, and the last shape beside them.
    fn parts(&self, arguments: Value<'_>) -> (Vec<pickle::StoredView<'a>>, Vec<u64>) {
        let (mut views, mut shape) = (Vec::new(), Vec::new());
        for argument in self.pickle.sequence(arguments).unwrap_or_default().iter().take(PARTS) {
            let inner = self.pickle.sequence(*argument).unwrap_or_default();
            for value in [argument].into_iter().chain(inner.iter().take(PARTS)) {
                if let Some(Rebuilt::View(view)) = self.pickle.tensor(*value) {
                    views.push(*view);
                } else if let Ok(numbers) = self.numbers(*value) {
                    shape = numbers;
                }
            }
        }
        (views, shape)
    }

    fn tensor(
        &self,
        view: &pickle::StoredView<'_>,
        contents: &mut Contents,
    ) -> Result<Tensor, Rejection> {
        let overflow = || self.bad("is larger than any memory");
        let mut shape = self.numbers(view.shape)?;
        let strides = self.numbers(view.strides)?;
        let storage =
            self.pickle.storage(view.storage).ok_or_else(|| self.bad("has no storage"))?;
        let dtype = view.dtype.or(storage.dtype).ok_or_else(|| self.bad("has no dtype"))?;
        let size = storage.dtype.map_or(1, pickle::size);
        let element = pickle::size(dtype);
        let extent = self.storages.get(storage.key);
        let extent = *extent.ok_or_else(|| self.bad("has no data in the archive"))?;
        // torch reads as many bytes as the pickle declares; both sizes must be large enough.
        let declared =
            storage.count.checked_add(storage.skipped).and_then(|all| all.checked_mul(size));
        let room = declared.ok_or_else(overflow)?;
        let skipped = storage.skipped.checked_mul(size).ok_or_else(overflow)? / element;
        let skipped = skipped.checked_add(view.offset).ok_or_else(overflow)?;
        let is_set = |bit| self.pickle.is_set(view.bits, bit);
        let flip = Flip::new(dtype, is_set("neg"), is_set("conj"));
        let flip = flip.map_err(|reason| self.bad(reason))?;
        let view = View::new(extent, room, element, skipped, &shape, &strides)
            .map_err(|reason| self.bad(reason))?
            .flipped(flip);
        if dtype == Dtype::F4
            && let Some(pairs) = shape.last_mut()
        {
            // torch counts pairs, safetensors counts elements.
            *pairs = pairs.checked_mul(2).ok_or_else(overflow)?;
        }
        let bytes = view.bytes();
        let offset = contents.views.place(view)?;
        Ok(Tensor { name: self.name.to_owned(), dtype, shape, offset, bytes })
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
