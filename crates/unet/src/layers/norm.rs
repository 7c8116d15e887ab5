//! Normalization.

use super::Features;
use crate::builder::{Builder, Value};
use crate::error::Error;
use crate::form::{GroupNorm, Norms};
use crate::graph::Attribute;
use crate::weights::full;

/// Groups of every group normalization, as in the original UNet code.
const GROUPS: u64 = 32;

impl Builder<'_> {
    /// Group normalization of [batch, channels, height, width], accumulated in fp32.
    pub(crate) fn group_norm(
        &mut self,
        at: &str,
        x: &Features,
        epsilon: f32,
    ) -> Result<Features, Error> {
        let channels = x.channels;
        if !channels.is_multiple_of(GROUPS) {
            return Err(Error::Indivisible { name: full(at), channels, divisor: GROUPS });
        }
        let weight = self.weight(&format!("{at}.weight"), &[channels])?;
        let bias = self.weight(&format!("{at}.bias"), &[channels])?;
        let epsilon = ("epsilon", Attribute::Float(epsilon));
        let value = match self.form.group_norm {
            GroupNorm::Group => {
                let groups = ("num_groups", Attribute::Int(GROUPS as i64));
                let inputs = [&x.value, &weight, &bias];
                self.norm(at, "GroupNormalization", inputs, &[epsilon, groups])
            }
            GroupNorm::Instance => {
                let groups = self.ints("shape.groups", &[0, GROUPS as i64, -1]);
                let ones = self.numbers("ones", &[GROUPS], &[1.0; GROUPS as usize]);
                let zeros = self.numbers("zeros", &[GROUPS], &[0.0; GROUPS as usize]);
                let shape = self.op(at, "Shape", &[&x.value], &[]);
                let grouped = self.reshape(at, &x.value, &groups);
                let inputs = [&grouped, &ones, &zeros];
                let normal = self.op(at, "InstanceNormalization", &inputs, &[epsilon]);
                let normal = self.reshape(at, &normal, &shape);
                let plane = self.ints("shape.plane", &[-1, 1, 1]);
                let weight = self.reshape(at, &weight, &plane);
                let bias = self.reshape(at, &bias, &plane);
                let scaled = self.op(at, "Mul", &[&normal, &weight], &[]);
                self.add(at, &scaled, &bias)
            }
        };
        Ok(Features { value, channels })
    }

    /// Layer normalization of [rows, channels] with epsilon 1e-5, accumulated in fp32.
    pub(crate) fn layer_norm(
        &mut self,
        at: &str,
        rows: &Value,
        channels: u64,
    ) -> Result<Value, Error> {
        let weight = self.weight(&format!("{at}.weight"), &[channels])?;
        let bias = self.weight(&format!("{at}.bias"), &[channels])?;
        let attributes = [("axis", Attribute::Int(-1)), ("epsilon", Attribute::Float(1e-5))];
        Ok(self.norm(at, "LayerNormalization", [rows, &weight, &bias], &attributes))
    }

    fn norm(
        &mut self,
        at: &str,
        operator: &'static str,
        inputs: [&Value; 3],
        attributes: &[(&'static str, Attribute)],
    ) -> Value {
        match self.form.norms {
            Norms::Fp32 => self.summed_in_fp32(at, operator, &inputs, attributes),
            Norms::Native => self.op(at, operator, &inputs, attributes),
        }
    }
}
