//! The modules that the UNet's blocks are made of.

use crate::builder::{Builder, Value};
use crate::error::Error;
use crate::form::Pointwise;
use crate::layers::{Conditions, Features, Source};
use crate::weights::missing;

/// Epsilon of group normalization in residual blocks and the output.
pub(crate) const BLOCK_EPSILON: f32 = 1e-5;
/// Epsilon of group normalization in transformers.
const TRANSFORMER_EPSILON: f32 = 1e-6;

/// The most modules of a block: a residual block, a transformer and a change of resolution.
const MODULES: usize = 3;

/// A module of a block, recognized by its tensors' names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Module {
    Residual,
    Transformer,
    Downsample,
    Upsample,
    /// The first block's convolution.
    Convolution,
}

impl Builder<'_> {
    /// Returns the modules of a block, in order. Tensors that belong to none of them are reported at the end.
    ///
    /// One may be missing before others, in a pruned UNet: front ends that have it fill it with zeros, and then it
    /// returns its input, as all but changes of resolution and of channels do.
    pub(crate) fn modules(&self, block: &str) -> Vec<(String, Module)> {
        let modules = (0..self.weights.count(block).max(MODULES)).filter_map(|index| {
            let at = format!("{block}.{index}");
            let any = |parts: &[&str]| parts.iter().any(|p| self.weights.any(&format!("{at}.{p}")));
            let module = if any(&["in_layers.", "emb_layers.", "out_layers."]) {
                Module::Residual
            } else if any(&["transformer_blocks.", "proj_in.", "proj_out.", "norm."]) {
                Module::Transformer
            } else if any(&["op."]) {
                Module::Downsample
            } else if any(&["conv."]) {
                Module::Upsample
            } else if any(&["weight", "bias"]) {
                Module::Convolution
            } else {
                return None;
            };
            Some((at, module))
        });
        modules.collect()
    }

    pub(crate) fn module(
        &mut self,
        at: &str,
        module: Module,
        x: &Features,
        conditions: &Conditions,
    ) -> Result<Features, Error> {
        match module {
            Module::Residual => self.residual_block(at, x, conditions),
            Module::Transformer => self.transformer(at, x, conditions),
            Module::Downsample => self.downsample(at, x),
            Module::Upsample => self.upsample(at, x),
            Module::Convolution => {
                let outputs = self.weights.outputs(at)?;
                self.conv(at, x, outputs, 3, 1)
            }
        }
    }

    fn residual_block(
        &mut self,
        at: &str,
        x: &Features,
        conditions: &Conditions,
    ) -> Result<Features, Error> {
        let outputs = self.weights.outputs(&format!("{at}.in_layers.2"))?;
        let h = self.norm_silu_conv(at, ["in_layers.0", "in_layers.2"], x, outputs)?;
        let emb = format!("{at}.emb_layers.1");
        let width = conditions.embedding_width;
        let joined = conditions.shifts.as_ref();
        let shift = match joined.map(|all| all.output(&emb, [outputs, width])).transpose()? {
            Some(shift) => shift.ok_or_else(|| missing(&format!("{emb}.weight")))?,
            None => self.linear(&emb, &conditions.embedding, width, outputs)?,
        };
        let shape = self.ints("shape.per_channel", &[0, -1, 1, 1]);
        let shift = self.reshape(&emb, &shift, &shape);
        let value = self.add(&emb, &h.value, &shift);
        let h = Features { value, channels: outputs };
        let h = self.norm_silu_conv(at, ["out_layers.0", "out_layers.3"], &h, outputs)?;
        let skip = format!("{at}.skip_connection");
        let skip = if x.channels != outputs || self.weights.any(&format!("{skip}.")) {
            self.conv(&skip, x, outputs, 1, 1)?
        } else {
            x.clone()
        };
        let value = self.add(at, &skip.value, &h.value);
        Ok(Features { value, channels: outputs })
    }

    /// Group normalization, SiLU and a 3×3 convolution.
    pub(crate) fn norm_silu_conv(
        &mut self,
        at: &str,
        [norm, conv]: [&str; 2],
        x: &Features,
        outputs: u64,
    ) -> Result<Features, Error> {
        let norm = format!("{at}.{norm}");
        let normal = self.group_norm(&norm, x, BLOCK_EPSILON)?;
        let value = self.silu(&norm, &normal.value);
        let active = Features { value, channels: x.channels };
        self.conv(&format!("{at}.{conv}"), &active, outputs, 3, 1)
    }

    fn transformer(
        &mut self,
        at: &str,
        x: &Features,
        conditions: &Conditions,
    ) -> Result<Features, Error> {
        let channels = x.channels;
        let [proj_in, proj_out] = ["proj_in", "proj_out"].map(|name| format!("{at}.{name}"));
        // SD 1.x projects with 1×1 convolutions outside the layout change, the others with linear layers
        // inside it.
        let pixels = self.weights.shape(&format!("{proj_in}.weight"))?.len() == 4;
        let convolutions = pixels && self.form.pointwise == Pointwise::Conv;
        let mut h = self.group_norm(&format!("{at}.norm"), x, TRANSFORMER_EPSILON)?;
        if convolutions {
            h = self.conv(&proj_in, &h, channels, 1, 1)?;
        }
        let positions = self.transpose(at, &h.value, [0, 2, 3, 1]);
        let shape = self.op(at, "Shape", &[&positions], &[]);
        let rows_shape = self.rows_shape(channels);
        let mut rows = self.reshape(at, &positions, &rows_shape);
        if !convolutions {
            rows = self.projection(&proj_in, &rows, channels, pixels)?;
        }
        let blocks = format!("{at}.transformer_blocks");
        // Where one is missing, it was pruned: with zeros for weights it would add nothing.
        for block in self.weights.numbers(&blocks) {
            rows =
                self.transformer_block(&format!("{blocks}.{block}"), rows, channels, conditions)?;
        }
        if !convolutions {
            rows = self.projection(&proj_out, &rows, channels, pixels)?;
        }
        let positions = self.reshape(at, &rows, &shape);
        let value = self.transpose(at, &positions, [0, 3, 1, 2]);
        let mut h = Features { value, channels };
        if convolutions {
            h = self.conv(&proj_out, &h, channels, 1, 1)?;
        }
        let value = self.add(at, &h.value, &x.value);
        Ok(Features { value, channels })
    }

    /// A linear layer whose weight may be stored as a 1×1 convolution's.
    fn projection(
        &mut self,
        at: &str,
        rows: &Value,
        channels: u64,
        pixels: bool,
    ) -> Result<Value, Error> {
        if !pixels {
            return self.linear(at, rows, channels, channels);
        }
        let kernel = self.weight(&format!("{at}.weight"), &[channels, channels, 1, 1])?;
        let bias = self.weight(&format!("{at}.bias"), &[channels])?;
        let flat = self.ints("shape.flat", &[0, -1]);
        let weight = self.reshape(at, &kernel, &flat);
        Ok(self.multiply(at, rows, &weight, Some(&bias)))
    }

    /// Self-attention, cross-attention to the prompt and a feed-forward layer, each added to `rows`.
    fn transformer_block(
        &mut self,
        at: &str,
        rows: Value,
        channels: u64,
        conditions: &Conditions,
    ) -> Result<Value, Error> {
        let [attn1, attn2, ff] = ["attn1", "attn2", "ff"].map(|name| format!("{at}.{name}"));
        let normal = self.layer_norm(&format!("{at}.norm1"), &rows, channels)?;
        let h = self.attention(&attn1, &normal, channels, Source::Same, conditions)?;
        let rows = self.add(&attn1, &h, &rows);
        let normal = self.layer_norm(&format!("{at}.norm2"), &rows, channels)?;
        let h = self.attention(&attn2, &normal, channels, Source::Text, conditions)?;
        let rows = self.add(&attn2, &h, &rows);
        let normal = self.layer_norm(&format!("{at}.norm3"), &rows, channels)?;
        let h = self.feed_forward(&ff, &normal, channels)?;
        Ok(self.add(&ff, &h, &rows))
    }
}
