//! The feed-forward half of a transformer block.

use crate::builder::{Builder, Value};
use crate::error::Error;

impl Builder<'_> {
    /// GEGLU and a linear layer on [rows, channels], without the residual. The first half of the
    /// projection is the value, the second the gate.
    pub(crate) fn feed_forward(
        &mut self,
        at: &str,
        rows: &Value,
        channels: u64,
    ) -> Result<Value, Error> {
        let outputs = self.weights.outputs(&format!("{at}.net.0.proj"))?;
        let inner = outputs / 2;
        let both = self.linear(&format!("{at}.net.0.proj"), rows, channels, 2 * inner)?;
        let [value, gate] = self.split(at, &both);
        let gate = self.gelu(at, &gate);
        let gated = self.op(at, "Mul", &[&value, &gate], &[]);
        self.linear(&format!("{at}.net.2"), &gated, inner, channels)
    }
}
