//! A checkpoint's UNet tensors by name, and which of them the graph has used.

use std::collections::{BTreeMap, BTreeSet};

use checkpoint::{Tensor, UNET_PREFIX, is_dropped};

use crate::error::Error;

/// The UNet's tensors. Names here lack the UNet's prefix; names in errors have it.
pub(crate) struct Weights<'a> {
    tensors: BTreeMap<&'a str, &'a Tensor>,
    unused: BTreeSet<&'a str>,
}

impl<'a> Weights<'a> {
    pub(crate) fn new(tensors: &'a [Tensor]) -> Self {
        let named = |tensor: &'a Tensor| Some((tensor.name.strip_prefix(UNET_PREFIX)?, tensor));
        let tensors = tensors.iter().filter(|tensor| !is_dropped(tensor));
        let tensors: BTreeMap<_, _> = tensors.filter_map(named).collect();
        let unused = tensors.keys().copied().collect();
        Self { tensors, unused }
    }

    /// Whether any tensor's name starts with `prefix`.
    pub(crate) fn any(&self, prefix: &str) -> bool {
        let mut from = self.tensors.range(prefix..);
        from.next().is_some_and(|(name, _)| name.starts_with(prefix))
    }

    /// Counts `prefix.0.`, `prefix.1.` … up to the first gap.
    pub(crate) fn count(&self, prefix: &str) -> usize {
        (0..).take_while(|index| self.any(&format!("{prefix}.{index}."))).count()
    }

    /// Returns the numbers of `prefix.N.`, sorted, with whatever gaps.
    pub(crate) fn numbers(&self, prefix: &str) -> BTreeSet<usize> {
        let start = format!("{prefix}.");
        let from = self.tensors.range(start.as_str()..);
        let names = from.map_while(|(name, _)| name.strip_prefix(&start));
        names.filter_map(|rest| rest.split_once('.')?.0.parse().ok()).collect()
    }

    /// Returns the layers with a weight whose name ends with `ending`, in name order.
    pub(crate) fn layers(&self, ending: &str) -> Vec<String> {
        let layers = self.tensors.keys().filter_map(|name| name.strip_suffix(".weight"));
        layers.filter(|layer| layer.ends_with(ending)).map(str::to_owned).collect()
    }

    /// The shape of a tensor.
    pub(crate) fn shape(&self, name: &str) -> Result<&'a [u64], Error> {
        let tensor = self.tensors.get(name).ok_or_else(|| missing(name))?;
        Ok(&tensor.shape)
    }

    /// The first dimension of a weight: the outputs of its layer.
    pub(crate) fn outputs(&self, layer: &str) -> Result<u64, Error> {
        let name = format!("{layer}.weight");
        let shape = self.shape(&name)?;
        let scalar = || Error::Shape { name: full(&name), found: Vec::new(), wanted: vec![1] };
        shape.first().copied().ok_or_else(scalar)
    }

    /// Returns a tensor and marks it as used. Fails unless it has the shape `wanted`.
    pub(crate) fn take(&mut self, name: &str, wanted: &[u64]) -> Result<&'a Tensor, Error> {
        let tensor = *self.tensors.get(name).ok_or_else(|| missing(name))?;
        if tensor.shape != wanted {
            let (found, wanted) = (tensor.shape.clone(), wanted.to_vec());
            return Err(Error::Shape { name: full(name), found, wanted });
        }
        self.unused.remove(name);
        Ok(tensor)
    }

    /// Fails if a tensor was not used.
    pub(crate) fn finish(self) -> Result<(), Error> {
        match self.unused.first() {
            None => Ok(()),
            Some(name) => Err(Error::Unexpected { name: full(name), count: self.unused.len() }),
        }
    }
}

/// The error for a missing tensor.
pub(crate) fn missing(name: &str) -> Error {
    Error::Missing { name: full(name) }
}

/// The name with the UNet's prefix, as in the checkpoint.
pub(crate) fn full(name: &str) -> String {
    format!("{UNET_PREFIX}{name}")
}
