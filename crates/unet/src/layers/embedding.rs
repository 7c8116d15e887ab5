//! The embeddings of the timestep and of `y`.

use crate::builder::{Builder, Value};
use crate::error::Error;
use crate::graph::Attribute;

/// The longest period of the time embedding, as in the original UNet code.
const MAX_PERIOD: f32 = 10_000.0;

impl Builder<'_> {
    /// Embeds timesteps `[batch]`, in fp32, as `[batch, channels]`: cosines, then sines. This must be fp32:
    /// timesteps are fractional numbers up to 999, too fine for fp16.
    pub(crate) fn time_embedding(&mut self, at: &str, steps: &Value, channels: u64) -> Value {
        let half = channels / 2;
        let frequencies: Vec<f32> =
            (0..half).map(|index| (-MAX_PERIOD.ln() * index as f32 / half as f32).exp()).collect();
        let frequencies = self.singles("frequencies", &[1, half], &frequencies);
        let column = self.ints("shape.column", &[-1, 1]);
        let steps = self.reshape(at, steps, &column);
        let angles = self.op(at, "Mul", &[&steps, &frequencies], &[]);
        let cosines = self.op(at, "Cos", &[&angles], &[]);
        let sines = self.op(at, "Sin", &[&angles], &[]);
        let both = self.op(at, "Concat", &[&cosines, &sines], &[("axis", Attribute::Int(1))]);
        self.narrow(at, &both)
    }

    /// Linear, SiLU, linear: [batch, inputs] to [batch, outputs].
    pub(crate) fn embedding_layers(
        &mut self,
        at: &str,
        x: &Value,
        inputs: u64,
        outputs: u64,
    ) -> Result<Value, Error> {
        let inner = self.linear(&format!("{at}.0"), x, inputs, outputs)?;
        let inner = self.silu(&format!("{at}.1"), &inner);
        self.linear(&format!("{at}.2"), &inner, outputs, outputs)
    }
}
