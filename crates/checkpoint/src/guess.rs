//! Derives the architecture from names and shapes.
//!
//! A1111 looks at the text encoder's tensors; the widths of the UNet's inputs distinguish the same kinds, and
//! files with only a UNet have them too.

use crate::{
    architecture::{Architecture, Heads, Kind},
    extra, kinds,
    metadata::HeaderMetadata,
    rejection::Rejection,
    size,
    tensor::{Tensor, UNET_PREFIX},
};

impl Architecture {
    /// Derives the architecture from a checkpoint's tensors, given by their canonical names.
    ///
    /// # Errors
    /// Says what the file is if it is not a checkpoint ([`Rejection::Other`]), and what is wrong with its
    /// UNet if that is clearly incomplete. Does not check that all blocks fit together.
    pub fn of(tensors: &[Tensor]) -> Result<Self, Rejection> {
        Self::read(tensors, &HeaderMetadata::default())
    }

    /// The same, of a file that says this of itself. A UNet that lacks weights because something else stands in their
    /// place is not damaged.
    pub(crate) fn read(tensors: &[Tensor], metadata: &HeaderMetadata) -> Result<Self, Rejection> {
        Self::look(tensors, metadata).map_err(|rejection| match rejection {
            Rejection::BadUnet { tensor, reason } => match kinds::quantiser(tensors) {
                Some(kind) => Rejection::Quantised { kind, tensor },
                None => Rejection::BadUnet { tensor, reason },
            },
            other => other,
        })
    }

    fn look(tensors: &[Tensor], metadata: &HeaderMetadata) -> Result<Self, Rejection> {
        let unet = UnetShapes(tensors);
        let other = || kinds::what_it_is(tensors, metadata).map(Rejection::Other);
        // Without its first convolution, there is no UNet to complain about.
        let stem = unet.tensor("input_blocks.0.0.weight", 4);
        if stem.is_err() || unet.tensor("out.2.weight", 4).is_err() {
            let is_part_of_one =
                || unet.tensors().any(|(name, _)| name.starts_with("input_blocks."));
            match other() {
                Some(other) => return Err(other),
                None if !is_part_of_one() => {
                    let wrapper = wrapper(tensors).map(str::to_owned);
                    return Err(
                        wrapper.map_or(Rejection::NoUnet, |wrapper| Rejection::Wrapped { wrapper })
                    );
                }
                None => {}
            }
        }
        let in_channels = unet.dimension(stem?)?;
        size::check(tensors)?;
        for (name, rank) in [
            ("out.0.weight", 1),
            ("out.2.weight", 4),
            ("time_embed.0.weight", 2),
            ("time_embed.2.weight", 2),
        ] {
            unet.tensor(name, rank)?;
        }
        // A whole one, of which nothing is missing but what it never had.
        let has = |part: &str| unet.tensors().any(|(name, _)| name.contains(part));
        let takes_no_text = || has(".in_layers.") && !has(".attn2.");
        let strange = |bad| match kinds::model(tensors) {
            Some(model) => Err(Rejection::Other(model)),
            None if takes_no_text() => Err(Rejection::Other(kinds::no_text())),
            None => extra::check(tensors).and(Err(bad)),
        };
        let context_width = unet.context_width().or_else(strange)?;
        let y_width = match unet.find("label_emb.0.0.weight") {
            Some(_) => Some(unet.dimension(unet.tensor("label_emb.0.0.weight", 2)?)?),
            None => None,
        };
        let kind = Kind::of(in_channels, context_width, y_width).ok_or_else(|| {
            let unknown = Rejection::UnknownArchitecture { in_channels, context_width, y_width };
            other().unwrap_or(unknown)
        })?;
        extra::check(tensors)?;
        let heads = if context_width == 768 { Heads::Count(8) } else { Heads::Width(64) };
        Ok(Self { kind, in_channels, context_width, y_width, heads })
    }
}

/// What stands before the name of a UNet's first weight.
fn wrapper(tensors: &[Tensor]) -> Option<&str> {
    let mut stems = tensors.iter().map(|tensor| kinds::split(&tensor.name));
    stems.find_map(|(wrapper, name)| (name == "input_blocks.0.0.weight").then_some(wrapper))
}

struct UnetShapes<'a>(&'a [Tensor]);

impl<'a> UnetShapes<'a> {
    /// Returns all tensors with their names without the prefix.
    fn tensors(&self) -> impl Iterator<Item = (&'a str, &'a Tensor)> {
        self.0.iter().filter_map(|tensor| Some((tensor.name.strip_prefix(UNET_PREFIX)?, tensor)))
    }

    fn find(&self, name: &str) -> Option<&'a Tensor> {
        self.tensors().find_map(|(found, tensor)| (found == name).then_some(tensor))
    }

    fn tensor(&self, name: &str, rank: usize) -> Result<&'a Tensor, Rejection> {
        let bad = |reason| Rejection::BadUnet { tensor: format!("{UNET_PREFIX}{name}"), reason };
        let tensor = self.find(name).ok_or_else(|| bad("is missing"))?;
        if tensor.shape.len() == rank { Ok(tensor) } else { Err(bad("has the wrong rank")) }
    }

    /// Returns the input dimension of a weight.
    fn dimension(&self, tensor: &Tensor) -> Result<u64, Rejection> {
        tensor.shape.get(1).copied().ok_or_else(|| Rejection::BadUnet {
            tensor: tensor.name.clone(),
            reason: "has the wrong rank",
        })
    }

    fn context_width(&self) -> Result<u64, Rejection> {
        let mut width = None;
        for (_, tensor) in self.tensors().filter(|(name, _)| name.ends_with(".attn2.to_k.weight")) {
            if tensor.shape.len() != 2 {
                let (tensor, reason) = (tensor.name.clone(), "has the wrong rank");
                return Err(Rejection::BadUnet { tensor, reason });
            }
            let found = self.dimension(tensor)?;
            if width.is_some_and(|width| width != found) {
                let reason = "disagrees with the others about the context's width";
                return Err(Rejection::BadUnet { tensor: tensor.name.clone(), reason });
            }
            width = Some(found);
        }
        let tensor = || format!("{UNET_PREFIX}*.attn2.to_k.weight");
        width.ok_or_else(|| Rejection::BadUnet { tensor: tensor(), reason: "is missing" })
    }
}
