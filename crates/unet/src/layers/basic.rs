//! Linear layers, convolutions and activations.

use super::Features;
use crate::builder::{Builder, Value};
use crate::error::Error;
use crate::form::{Gelu, Linear, Sums};
use crate::graph::Attribute;
use crate::precision::Precision;

impl Builder<'_> {
    /// A linear layer with a bias, from [rows, inputs] to [rows, outputs].
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

    /// `rows` · `weight`ᵀ + `bias`.
    pub(crate) fn multiply(
        &mut self,
        at: &str,
        rows: &Value,
        weight: &Value,
        bias: Option<&Value>,
    ) -> Value {
        let transpose = ("transB", Attribute::Int(1));
        match self.form.linear {
            Linear::Gemm if self.form.sums != Sums::Native => {
                let product = self.summed_in_fp32(at, "Gemm", &[rows, weight], &[transpose]);
                // With the bias inside, the casts would no longer be next to the product.
                match bias {
                    Some(bias) => self.add(at, &product, bias),
                    None => product,
                }
            }
            Linear::Gemm => {
                let inputs: Vec<_> = [rows, weight].into_iter().chain(bias).collect();
                self.op(at, "Gemm", &inputs, &[transpose])
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

    /// A square convolution with a bias, padded to keep the size at stride 1.
    pub(crate) fn conv(
        &mut self,
        at: &str,
        x: &Features,
        outputs: u64,
        kernel: u64,
        stride: i64,
    ) -> Result<Features, Error> {
        let shape = [outputs, x.channels, kernel, kernel];
        let weight = self.kernel(&format!("{at}.weight"), &shape)?;
        let bias = self.weight(&format!("{at}.bias"), &[outputs])?;
        let pad = i64::from(kernel == 3);
        let attributes = [
            ("pads", Attribute::Ints(vec![pad; 4])),
            ("strides", Attribute::Ints(vec![stride; 2])),
        ];
        let inputs = [&x.value, &weight, &bias];
        let value = match self.form.sums {
            Sums::Fp32 => self.summed_in_fp32(at, "Conv", &inputs, &attributes),
            Sums::Native | Sums::LinearFp32 => self.op(at, "Conv", &inputs, &attributes),
        };
        Ok(Features { value, channels: outputs })
    }

    /// Applies an operator in fp32 to values in the graph's precision, and casts its output back.
    pub(crate) fn summed_in_fp32(
        &mut self,
        at: &str,
        operator: &'static str,
        inputs: &[&Value],
        attributes: &[(&'static str, Attribute)],
    ) -> Value {
        let inputs: Vec<_> = inputs.iter().map(|x| self.widen(at, x)).collect();
        let wide = self.op(at, operator, &inputs.iter().collect::<Vec<_>>(), attributes);
        self.narrow(at, &wide)
    }

    /// Casts from the graph's precision to fp32.
    pub(crate) fn widen(&mut self, at: &str, x: &Value) -> Value {
        match self.precision {
            Precision::Fp32 => x.clone(),
            Precision::Fp16 => self.cast(at, x, Precision::Fp32.dtype()),
        }
    }

    /// Casts from fp32 to the graph's precision.
    pub(crate) fn narrow(&mut self, at: &str, x: &Value) -> Value {
        match self.precision {
            Precision::Fp32 => x.clone(),
            Precision::Fp16 => self.cast(at, x, self.precision.dtype()),
        }
    }

    /// x · sigmoid(x).
    pub(crate) fn silu(&mut self, at: &str, x: &Value) -> Value {
        let gate = self.op(at, "Sigmoid", &[x], &[]);
        self.op(at, "Mul", &[x, &gate], &[])
    }

    /// x · Φ(x), exactly: x/2 · (1 + erf(x/√2)).
    pub(crate) fn gelu(&mut self, at: &str, x: &Value) -> Value {
        let exact = [("approximate", Attribute::Text("none"))];
        match self.form.gelu {
            Gelu::Fp32 => {
                let wide = self.widen(at, x);
                let wide = self.op(at, "Gelu", &[&wide], &exact);
                self.narrow(at, &wide)
            }
            Gelu::Native => self.op(at, "Gelu", &[x], &exact),
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
