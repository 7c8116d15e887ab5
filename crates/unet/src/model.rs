//! The whole UNet.

use checkpoint::{Architecture, Dtype, Tensor};

use crate::binding::{BINDING_VERSION, Binding};
use crate::blocks::Module;
use crate::builder::{Builder, Value, Variant};
use crate::error::Error;
use crate::form::Attention;
use crate::graph::{Attribute, Dimension, Graph, Input};
use crate::layers::{Conditions, Features};
use crate::precision::Precision;
use crate::weights::{Weights, missing};

/// GroupNormalization with one weight per channel came with opset 21.
const OPSET: i64 = 21;
/// Attention came with opset 23.
const ATTENTION_OPSET: i64 = 23;

const OUTPUT: &str = "latent";

/// Builds the graph of a checkpoint's UNet.
pub(crate) fn build(
    architecture: &Architecture,
    tensors: &[Tensor],
    precision: Precision,
    variant: Variant,
) -> Result<Graph, Error> {
    let mut builder = Builder::new(Weights::new(tensors), precision, variant);
    let conditions = builder.conditions(architecture)?;
    let sample = Features { value: Value::new("sample"), channels: architecture.in_channels };
    let (h, skips) = builder.input_blocks(sample, &conditions)?;
    let h = builder.block("middle_block", h, &conditions)?;
    let halvings = skips.last().map_or(0, |(_, halvings)| *halvings);
    let h = builder.add_to_middle(&h, halvings)?;
    let h = builder.output_blocks(h, skips, &conditions)?;
    let channels = builder.output(&h)?;
    builder.weights.finish()?;
    let opset = if variant.form.attention == Attention::Operator { ATTENTION_OPSET } else { OPSET };
    let output = picture(OUTPUT, precision, channels);
    let mut inputs = inputs(architecture, precision);
    let mut residuals = builder.residuals.unwrap_or_default();
    // They were added from the middle outwards.
    residuals.reverse();
    inputs.extend(residuals.iter().map(|residual| residual.input(precision)));
    inputs.extend(builder.weight_inputs);
    let binding =
        variant.shared.then_some(Binding { version: BINDING_VERSION, inputs: builder.bound });
    let (nodes, initializers) = (builder.nodes, builder.initializers);
    Ok(Graph { opset, inputs, output, nodes, initializers, binding, residuals })
}

fn inputs(architecture: &Architecture, precision: Precision) -> Vec<Input> {
    use Dimension::{Dynamic, Fixed};
    let dtype = precision.dtype();
    let batch = Dynamic("batch");
    let mut inputs = vec![
        picture("sample", precision, architecture.in_channels),
        // Always fp32: fp16 would round fractional timesteps to halves.
        Input { name: "timesteps".to_owned(), dtype: Dtype::F32, dimensions: vec![batch] },
        Input {
            name: "encoder_hidden_states".to_owned(),
            dtype,
            dimensions: vec![batch, Dynamic("tokens"), Fixed(architecture.context_width)],
        },
    ];
    if let Some(width) = architecture.y_width {
        inputs.push(Input { name: "y".to_owned(), dtype, dimensions: vec![batch, Fixed(width)] });
    }
    inputs
}

fn picture(name: &str, precision: Precision, channels: u64) -> Input {
    use Dimension::{Dynamic, Fixed};
    let dimensions = vec![Dynamic("batch"), Fixed(channels), Dynamic("height"), Dynamic("width")];
    Input { name: name.to_owned(), dtype: precision.dtype(), dimensions }
}

impl Builder<'_> {
    /// Computes what the blocks take besides their features, from the inputs other than `sample`.
    fn conditions(&mut self, architecture: &Architecture) -> Result<Conditions, Error> {
        let steps = Value::new("timesteps");
        let batch = self.op("batch", "Shape", &[&steps], &[]);
        let channels = self.weights.outputs("input_blocks.0.0")?;
        let embedding_width = self.weights.outputs("time_embed.0")?;
        let steps = self.time_embedding("timesteps", &steps, channels);
        let mut embedding =
            self.embedding_layers("time_embed", &steps, channels, embedding_width)?;
        if let Some(width) = architecture.y_width {
            let y = Value::new("y");
            let label = self.embedding_layers("label_emb.0", &y, width, embedding_width)?;
            embedding = self.add("label_emb", &embedding, &label);
        }
        // Every residual block starts with this activation, so they share it.
        let embedding = self.silu("embedding", &embedding);
        let context_width = architecture.context_width;
        let shape = self.rows_shape(context_width);
        let context = self.reshape("context", &Value::new("encoder_hidden_states"), &shape);
        let heads = architecture.heads;
        let layers = self.weights.layers(".emb_layers.1");
        let shifts = self
            .shared
            .then(|| self.join("emb_layers", &embedding, layers, embedding_width, true))
            .transpose()?;
        Ok(Conditions { batch, embedding, embedding_width, context, context_width, shifts, heads })
    }

    /// Returns the last block's output, and all blocks' outputs for the skip connections, each with how often its
    /// size has been halved.
    fn input_blocks(
        &mut self,
        sample: Features,
        conditions: &Conditions,
    ) -> Result<(Features, Vec<(Features, usize)>), Error> {
        let (mut h, mut halvings) = (sample, 0);
        let mut skips = Vec::new();
        for block in 0..self.weights.count("input_blocks") {
            let at = format!("input_blocks.{block}");
            halvings += usize::from(self.has(&at, Module::Downsample));
            h = self.block(&at, h, conditions)?;
            skips.push((h.clone(), halvings));
        }
        Ok((h, skips))
    }

    fn has(&self, block: &str, module: Module) -> bool {
        self.modules(block).iter().any(|(_, found)| *found == module)
    }

    fn output_blocks(
        &mut self,
        mut h: Features,
        mut skips: Vec<(Features, usize)>,
        conditions: &Conditions,
    ) -> Result<Features, Error> {
        let mut upsampled = false;
        let mut halvings = skips.last().map_or(0, |(_, halvings)| *halvings);
        for block in 0usize.. {
            let at = format!("output_blocks.{block}");
            let Some((skip, wanted)) = skips.pop() else { break };
            let skip = self.add_to_skip(skips.len(), &skip, wanted)?;
            if halvings != wanted {
                let before = block.saturating_sub(1);
                return Err(missing(&format!("output_blocks.{before}.2.conv.weight")));
            }
            if !self.weights.any(&format!("{at}.")) {
                return Err(missing(&format!("{at}.0.in_layers.0.weight")));
            }
            if upsampled {
                h = self.trim(&at, &h, &skip);
            }
            let channels = h.channels + skip.channels;
            let axis = [("axis", Attribute::Int(1))];
            let value = self.op(&at, "Concat", &[&h.value, &skip.value], &axis);
            upsampled = self.has(&at, Module::Upsample);
            halvings = halvings.saturating_sub(usize::from(upsampled));
            h = self.block(&at, Features { value, channels }, conditions)?;
        }
        Ok(h)
    }

    fn block(
        &mut self,
        at: &str,
        mut h: Features,
        conditions: &Conditions,
    ) -> Result<Features, Error> {
        for (at, module) in self.modules(at) {
            h = self.module(&at, module, &h, conditions)?;
        }
        Ok(h)
    }

    /// The last layers. Returns the number of the output's channels.
    fn output(&mut self, h: &Features) -> Result<u64, Error> {
        let channels = self.weights.outputs("out.2")?;
        self.norm_silu_conv("out", ["0", "2"], h, channels)?;
        if let Some(last) = self.nodes.last_mut() {
            last.outputs = vec![OUTPUT.to_owned()];
        }
        Ok(channels)
    }
}
