//! What quantisers keep beside a UNet's weights, and whether its weights are still numbers.
//!
//! Two ways keep a weight's shape: fp8, and fp8 or int8 times a scale. The signature, which is of what the weights are
//! *for*, is that of the file before it was quantised; who reads the values has to multiply. All others pack several
//! numbers into one and are refused by name.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{
    extra::is_dropped,
    kinds::{self, OtherKind},
    metadata::HeaderMetadata,
    rejection::Rejection,
    tensor::{Dtype, Tensor, UNET_PREFIX},
};

/// The ends of the names of what ComfyUI's tools keep beside a layer's `weight` (ComfyUI 0.33, comfy/utils.py
/// convert_old_quants and comfy/quant_ops.py).
const SCALES: [&str; 2] = [".weight_scale", ".scale_weight"];
const OTHERS: [&str; 4] = [".comfy_quant", ".input_scale", ".scale_input", ".weight_scale_2"];

/// The mark of a file with scales, beside all layers.
const SCALED: &str = "scaled_fp8";

/// What says how each layer is stored, if no tensor does.
const METADATA: &str = "_quantization_metadata";

/// The longest description of a layer, in bytes.
const DESCRIPTION: u64 = 4096;

/// What quantisers keep beside the UNet's weights.
#[derive(Debug, Default)]
pub(crate) struct Quantised {
    /// Sorted by name.
    pub(crate) beside: Vec<Tensor>,
    /// Layers whose weights are rotated too, which only their own code undoes.
    rotated: Vec<String>,
}

/// How a weight's values follow from what is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scaling<'a> {
    /// They are what is stored.
    Plain,
    /// They are what is stored times this tensor: one number, or one for each row.
    By(&'a Tensor),
    /// Only the quantiser's own code tells.
    Unknown,
}

/// How ComfyUI's tools stored a layer.
#[derive(Clone, Debug, Deserialize)]
struct Format {
    format: String,
    #[serde(default)]
    convrot: bool,
}

impl Quantised {
    /// Takes what is beside the UNet's weights out of a file's tensors, which are sorted by name.
    ///
    /// # Errors
    /// [`Rejection::Quantised`] and [`Rejection::UnetDtype`] if some weights are no numbers; [`Rejection::Unreadable`].
    pub(crate) fn set_aside(
        tensors: &mut Vec<Tensor>,
        metadata: &HeaderMetadata,
        read: impl Fn(&Tensor) -> Result<Vec<u8>, Rejection>,
    ) -> Result<Self, Rejection> {
        let mut found =
            Self { beside: tensors.extract_if(.., is_beside).collect(), rotated: vec![] };
        let stem = format!("{UNET_PREFIX}input_blocks.0.0.weight");
        let odd = || tensors.iter().any(|tensor| is_unet(tensor) && !is_plain(tensor));
        // Of other models the name matters, not how they are stored.
        let is_unet_file = tensors.binary_search_by(|tensor| tensor.name.cmp(&stem)).is_ok();
        if is_unet_file && (!found.beside.is_empty() || metadata.get(METADATA).is_some() || odd()) {
            found.check(tensors, metadata, read)?;
        }
        Ok(found)
    }

    fn check(
        &mut self,
        tensors: &[Tensor],
        metadata: &HeaderMetadata,
        read: impl Fn(&Tensor) -> Result<Vec<u8>, Rejection>,
    ) -> Result<(), Rejection> {
        let packed = |kind, tensor: &str| Rejection::Quantised { kind, tensor: tensor.to_owned() };
        for (layer, format) in self.formats(metadata, read)? {
            if let Some(kind) = packing(&format.format) {
                return Err(packed(kind, &format!("{layer}.weight")));
            }
            if format.convrot {
                self.rotated.push(layer);
            }
        }
        for beside in &self.beside {
            // The scales of blocks: of 32 in mxfp8, of 16 in nvfp4.
            let is_of_blocks = matches!(beside.dtype, Dtype::U8 | Dtype::F8E8M0);
            let kind = if beside.name.ends_with(".weight_scale_2") {
                packing("nvfp4")
            } else if is_of_blocks && beside.name.ends_with(SCALES[0]) {
                packing("mxfp8")
            } else {
                None
            };
            if let Some((kind, (layer, _))) = kind.zip(beside.name.rsplit_once('.')) {
                return Err(packed(kind, &format!("{layer}.weight")));
            }
        }
        let is_scaled = |tensor: &Tensor| tensor.dtype == Dtype::I8 && self.scale(tensor).is_some();
        let is_odd = |tensor: &Tensor| !is_number(tensor.dtype) && !is_scaled(tensor);
        let is_mark = |tensor: &Tensor| is_dropped(tensor) && tensor.dtype.is_integer();
        let odd = |tensor: &&Tensor| is_unet(tensor) && is_odd(tensor) && !is_mark(tensor);
        let quantiser = || kinds::quantiser(tensors);
        if let Some(tensor) = tensors.iter().find(odd) {
            return Err(quantiser().map_or_else(
                || Rejection::UnetDtype { tensor: tensor.name.clone(), dtype: tensor.dtype },
                |kind| packed(kind, &tensor.name),
            ));
        }
        // What is left beside a weight that is one is no matter.
        let stands_in =
            |tensor: &&Tensor| is_unet(tensor) && !is_dropped(tensor) && stands_in(tensor, tensors);
        match tensors.iter().find(stands_in).zip(quantiser()) {
            Some((tensor, kind)) => Err(packed(kind, &tensor.name)),
            None => Ok(()),
        }
    }

    /// How each layer is stored, where ComfyUI's tools say so.
    fn formats(
        &self,
        metadata: &HeaderMetadata,
        read: impl Fn(&Tensor) -> Result<Vec<u8>, Rejection>,
    ) -> Result<BTreeMap<String, Format>, Rejection> {
        #[derive(Deserialize)]
        struct Layers {
            layers: BTreeMap<String, Format>,
        }
        let mut formats = BTreeMap::new();
        let listed = metadata.get(METADATA).and_then(|text| serde_json::from_str(text).ok());
        if let Some(Layers { layers }) = listed {
            let named = layers.into_iter().map(|(name, format)| (canonical(&name), format));
            formats.extend(named);
        }
        for tensor in &self.beside {
            let Some(layer) = tensor.name.strip_suffix(".comfy_quant") else { continue };
            if tensor.bytes > DESCRIPTION {
                continue;
            }
            if let Ok(format) = serde_json::from_slice(&read(tensor)?) {
                formats.insert(layer.to_owned(), format);
            }
        }
        Ok(formats)
    }

    /// Whether some weights are not what is stored.
    pub(crate) fn has_scales(&self) -> bool {
        self.beside.iter().any(|beside| SCALES.iter().any(|end| beside.name.ends_with(end)))
    }

    /// How this tensor of the UNet is to be read.
    pub(crate) fn scaling(&self, tensor: &Tensor) -> Scaling<'_> {
        let layer = tensor.name.strip_suffix(".weight");
        if layer.is_some_and(|layer| self.rotated.iter().any(|rotated| rotated == layer)) {
            return Scaling::Unknown;
        }
        self.scale(tensor).map_or(Scaling::Plain, Scaling::By)
    }

    fn scale(&self, tensor: &Tensor) -> Option<&Tensor> {
        let layer = tensor.name.strip_suffix(".weight")?;
        let named = |scale: &str| {
            let name = format!("{layer}{scale}");
            let index = self.beside.binary_search_by(|beside| beside.name.cmp(&name)).ok()?;
            self.beside.get(index)
        };
        SCALES.into_iter().find_map(named)
    }
}

/// Whether a tensor is none of the UNet's parameters, but a quantiser's.
fn is_beside(tensor: &mut Tensor) -> bool {
    let Some(name) = tensor.name.strip_prefix(UNET_PREFIX) else { return false };
    // Nearly all names end so.
    if name.ends_with(".weight") || name.ends_with(".bias") {
        return false;
    }
    name == SCALED || SCALES.iter().chain(&OTHERS).any(|end| name.ends_with(end))
}

fn is_unet(tensor: &Tensor) -> bool {
    tensor.name.starts_with(UNET_PREFIX)
}

/// Whether it is a parameter by its name, and a number.
fn is_plain(tensor: &Tensor) -> bool {
    let name = &tensor.name;
    (name.ends_with(".weight") || name.ends_with(".bias")) && is_number(tensor.dtype)
}

/// Whether a layer has this tensor in place of a weight.
fn stands_in(tensor: &Tensor, tensors: &[Tensor]) -> bool {
    let Some((layer, part)) = tensor.name.rsplit_once('.') else { return false };
    // Also in `x.weight.quant_state.bitsandbytes__nf4`.
    let layer = layer.split_once(".weight").map_or(layer, |(layer, _)| layer);
    let weight = format!("{layer}.weight");
    let has_weight = tensors.binary_search_by(|tensor| tensor.name.cmp(&weight)).is_ok();
    !matches!(part, "weight" | "bias") && !has_weight
}

/// Whether front ends cast it as it is.
fn is_number(dtype: Dtype) -> bool {
    use Dtype::{Bf16, F8E4M3, F8E5M2, F16, F32, F64};
    matches!(dtype, F64 | F32 | F16 | Bf16 | F8E4M3 | F8E5M2)
}

/// Says that a format of `comfy_quant` packs weights.
fn packing(format: &str) -> Option<&'static OtherKind> {
    let is_plain = format.starts_with("float8_") || format == "int8_tensorwise";
    (!is_plain).then(|| kinds::format(format))
}

/// A layer's canonical name; some tools write it without the model's prefix.
fn canonical(name: &str) -> String {
    let name = name.strip_prefix("model.").unwrap_or(name);
    let name = name.strip_prefix("diffusion_model.").unwrap_or(name);
    format!("{UNET_PREFIX}{name}")
}
