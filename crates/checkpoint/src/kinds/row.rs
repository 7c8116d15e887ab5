//! Rows for the tables of models.

use super::{KIND, OtherKind, ShapeTest};

const NO_UNET: &str = "it has no Stable Diffusion UNet, so it is not supported; front ends that know it run it without engines";

/// A model with all of these marks.
pub(super) const fn all(
    name: &'static str,
    all: &'static [&'static str],
    source: &'static str,
) -> OtherKind {
    OtherKind { name, advice: NO_UNET, all, source, ..KIND }
}

/// A model with one of these marks.
pub(super) const fn any(
    name: &'static str,
    any: &'static [&'static str],
    source: &'static str,
) -> OtherKind {
    OtherKind { name, advice: NO_UNET, any, source, ..KIND }
}

/// The same with a tensor of a certain shape.
pub(super) const fn shaped(kind: OtherKind, tensor: &'static str, fits: ShapeTest) -> OtherKind {
    OtherKind { shape: Some((tensor, fits)), ..kind }
}

pub(super) fn is_wide<const WIDTH: u64>(shape: &[u64]) -> bool {
    shape.get(1) == Some(&WIDTH)
}

pub(super) fn is_long<const LENGTH: u64>(shape: &[u64]) -> bool {
    shape.first() == Some(&LENGTH)
}

pub(super) fn is_flat(shape: &[u64]) -> bool {
    shape.len() == 4
}
