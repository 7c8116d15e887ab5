//! Linear layers, convolutions and activations.

use super::Features;
use crate::builder::{Builder, Value};
use crate::error::Error;
use crate::form::{Gelu, Linear};
use crate::graph::Attribute;

impl Builder<'_> {
    /// A linear layer with a bias: [rows, inputs] to [rows, outputs].
    pub(crate) fn linear(
        &mut self,
        at: &str,
        rows: &Value,
        inputs: u64,
        outputs: u64,
    ) -> Result<Value, Error> {
        let weight = self.weight(&format!("{at}.weight"), &[outputs, inputs])?;
        let bias = self.weight(&format!("{at}.bias"), &[outputs])?;
        Ok(self.multiply(at, rows, &weight, Some(&bias)))
    }

    /// `rows` by the transpose of `weight`, plus `bias`.
    pub(crate) fn multiply(
        &mut self,
        at: &str,
        rows: &Value,
        weight: &Value,
        bias: Option<&Value>,
    ) -> Value {
        match self.form.linear {
            Linear::Gemm => {
                let inputs: Vec<_> = [rows, weight].into_iter().chain(bias).collect();
                self.op(at, "Gemm", &inputs, &[("transB", Attribute::Int(1))])
            }
            Linear::MatMul => {
                let swap = Attribute::Ints(vec![1, 0]);
                let weight = self.op(at, "Transpose", &[weight], &[("perm", swap)]);
                let product = self.op(at, "MatMul", &[rows, &weight], &[]);
                match bias {
                    Some(bias) => self.op(at, "Add", &[&product, bias], &[]),
                    None => product,
                }
            }
            Linear::Conv => {
                let pixels = self.ints("shape.per_channel", &[0, -1, 1, 1]);
                let [x, kernel] = [rows, weight].map(|x| self.reshape(at, x, &pixels));
                let inputs: Vec<_> = [&x, &kernel].into_iter().chain(bias).collect();
                let product = self.op(at, "Conv", &inputs, &[]);
                let flat = self.ints("shape.flat", &[0, -1]);
                self.reshape(at, &product, &flat)
            }
        }
    }

    /// A square convolution with a bias, padded so that stride 1 keeps the size.
    pub(crate) fn conv(
        &mut self,
        at: &str,
        x: &Features,
        outputs: u64,
        kernel: u64,
        stride: i64,
    ) -> Result<Features, Error> {
        let shape = [outputs, x.channels, kernel, kernel];
        let weight = self.weight(&format!("{at}.weight"), &shape)?;
        let bias = self.weight(&format!("{at}.bias"), &[outputs])?;
        let pad = i64::from(kernel == 3);
        let attributes = [
            ("pads", Attribute::Ints(vec![pad; 4])),
            ("strides", Attribute::Ints(vec![stride; 2])),
        ];
        let value = self.op(at, "Conv", &[&x.value, &weight, &bias], &attributes);
        Ok(Features { value, channels: outputs })
    }

    /// x · sigmoid(x).
    pub(crate) fn silu(&mut self, at: &str, x: &Value) -> Value {
        let gate = self.op(at, "Sigmoid", &[x], &[]);
        self.op(at, "Mul", &[x, &gate], &[])
    }

    /// x · Φ(x), exactly: x/2 · (1 + erf(x/√2)).
    pub(crate) fn gelu(&mut self, at: &str, x: &Value) -> Value {
        match self.form.gelu {
            Gelu::Gelu => self.op(at, "Gelu", &[x], &[("approximate", Attribute::Text("none"))]),
            Gelu::Erf => {
                let root = self.numbers("gelu.root", &[], &[std::f32::consts::FRAC_1_SQRT_2]);
                let one = self.numbers("gelu.one", &[], &[1.0]);
                let half = self.numbers("gelu.half", &[], &[0.5]);
                let scaled = self.op(at, "Mul", &[x, &root], &[]);
                let erf = self.op(at, "Erf", &[&scaled], &[]);
                let sum = self.op(at, "Add", &[&erf, &one], &[]);
                let halved = self.op(at, "Mul", &[x, &half], &[]);
                self.op(at, "Mul", &[&halved, &sum], &[])
            }
        }
    }

    pub(crate) fn add(&mut self, at: &str, a: &Value, b: &Value) -> Value {
        self.op(at, "Add", &[a, b], &[])
    }

    pub(crate) fn reshape(&mut self, at: &str, x: &Value, shape: &Value) -> Value {
        self.op(at, "Reshape", &[x, shape], &[])
    }

    pub(crate) fn transpose(&mut self, at: &str, x: &Value, order: [i64; 4]) -> Value {
        self.op(at, "Transpose", &[x], &[("perm", Attribute::Ints(order.to_vec()))])
    }
}
