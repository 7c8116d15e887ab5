//! Multi-head attention.

use checkpoint::Heads;

use super::Conditions;
use crate::builder::{Builder, Value};
use crate::error::Error;
use crate::form::{Attention, Projections, Scale, Softmax, Sums, Values};
use crate::graph::Attribute;
use crate::weights::full;

/// [batch, positions, heads, width] to [batch, heads, positions, width], and back.
const HEADS_OUTWARD: [i64; 4] = [0, 2, 1, 3];
/// [batch, positions, heads, width] to [batch, heads, width, positions].
const HEADS_OUTWARD_TRANSPOSED: [i64; 4] = [0, 2, 3, 1];

/// Where keys and values come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The features themselves (self-attention).
    Same,
    /// The prompt (cross-attention).
    Text,
}

impl Builder<'_> {
    /// Attention from `rows` [rows, channels] to themselves or to the prompt, without the residual.
    pub(crate) fn attention(
        &mut self,
        at: &str,
        rows: &Value,
        channels: u64,
        source: Source,
        conditions: &Conditions,
    ) -> Result<Value, Error> {
        let (count, width) = split_heads(at, channels, conditions.heads)?;
        let [q, k, v] = match source {
            Source::Same => self.project(at, ["to_q", "to_k", "to_v"], rows, channels, channels)?,
            Source::Text => {
                let [q] = self.project(at, ["to_q"], rows, channels, channels)?;
                let (text, width) = (&conditions.context, conditions.context_width);
                let [k, v] = self.project(at, ["to_k", "to_v"], text, width, channels)?;
                [q, k, v]
            }
        };
        let shape = self.heads_shape(&conditions.batch, count, width);
        let [q, k, v] = [q, k, v].map(|x| self.reshape(at, &x, &shape));
        let mixed = match self.form.attention {
            Attention::Plain { scale, softmax, values } => {
                let scores = self.scores(at, [&q, &k], width, scale);
                let shares = self.shares(at, &scores, scale, softmax);
                let v = self.transpose(at, &v, HEADS_OUTWARD);
                // Cross-attention to the prompt accumulates only a few values.
                match (values, source) {
                    (Values::Fp32, Source::Same) => {
                        self.summed_in_fp32(at, "MatMul", &[&shares, &v], &[])
                    }
                    _ => self.product(at, &shares, &v),
                }
            }
            Attention::Operator => {
                let [q, k, v] = [q, k, v].map(|x| self.transpose(at, &x, HEADS_OUTWARD));
                let scale = ("scale", Attribute::Float(inverse_root(width)));
                self.op(at, "Attention", &[&q, &k, &v], &[scale])
            }
        };
        let mixed = self.transpose(at, &mixed, HEADS_OUTWARD);
        let shape = self.rows_shape(channels);
        let mixed = self.reshape(at, &mixed, &shape);
        self.linear(&format!("{at}.to_out.0"), &mixed, channels, channels)
    }

    /// Computes the linear layers `names`, which have no bias and share their input.
    fn project<const N: usize>(
        &mut self,
        at: &str,
        names: [&str; N],
        rows: &Value,
        inputs: u64,
        outputs: u64,
    ) -> Result<[Value; N], Error> {
        if N > 1 && self.shared {
            let layers: Vec<_> = names.iter().map(|name| format!("{at}.{name}")).collect();
            let joined =
                self.join(&format!("{at}.{}", names.join("+")), rows, layers, inputs, false)?;
            return joined.all(outputs, inputs);
        }
        let mut weights = Vec::with_capacity(N);
        for name in names {
            weights.push(self.weight(&format!("{at}.{name}.weight"), &[outputs, inputs])?);
        }
        if N > 1 && self.form.projections == Projections::Fused {
            let together: Vec<_> = weights.iter().collect();
            let weight = self.op(at, "Concat", &together, &[("axis", Attribute::Int(0))]);
            let product = self.multiply(at, rows, &weight, None);
            return Ok(self.split(at, &product));
        }
        let mut index = 0;
        Ok(names.map(|name| {
            let weight = &weights[index];
            index += 1;
            self.multiply(&format!("{at}.{name}"), rows, weight, None)
        }))
    }

    /// Returns the scaled scores [batch, heads, positions, positions] of queries and keys [batch, positions,
    /// heads, width], in the graph's precision or, with [`Scale::ScoresFp32`], in fp32.
    fn scores(&mut self, at: &str, [q, k]: [&Value; 2], width: u64, scale: Scale) -> Value {
        let factor = inverse_root(width);
        let mut q = self.transpose(at, q, HEADS_OUTWARD);
        let mut k = self.transpose(at, k, HEADS_OUTWARD_TRANSPOSED);
        match scale {
            Scale::Queries => q = self.scale(at, &q, width, factor),
            Scale::QueriesAndKeys => {
                q = self.scale(at, &q, width, factor.sqrt());
                k = self.scale(at, &k, width, factor.sqrt());
            }
            Scale::Scores | Scale::ScoresFp32 => {}
        }
        let scores = self.product(at, &q, &k);
        match scale {
            Scale::Queries | Scale::QueriesAndKeys => scores,
            Scale::Scores => self.scale(at, &scores, width, factor),
            Scale::ScoresFp32 => {
                let scores = self.widen(at, &scores);
                let factor = self.singles(&format!("attention.scale.fp32.{width}"), &[], &[factor]);
                self.op(at, "Mul", &[&scores, &factor], &[])
            }
        }
    }

    /// Returns the softmax of the scores, which have the type that `scale` gave them.
    fn shares(&mut self, at: &str, scores: &Value, scale: Scale, softmax: Softmax) -> Value {
        let axis = [("axis", Attribute::Int(-1))];
        let scores = match (scale, softmax) {
            (Scale::ScoresFp32, Softmax::Native) => self.narrow(at, scores),
            (Scale::ScoresFp32, Softmax::Fp32) | (_, Softmax::Native) => scores.clone(),
            (_, Softmax::Fp32) => self.widen(at, scores),
        };
        let shares = self.op(at, "Softmax", &[&scores], &axis);
        match softmax {
            Softmax::Native => shares,
            Softmax::Fp32 => self.narrow(at, &shares),
        }
    }

    fn product(&mut self, at: &str, a: &Value, b: &Value) -> Value {
        match self.form.sums {
            Sums::Native => self.op(at, "MatMul", &[a, b], &[]),
            Sums::LinearFp32 | Sums::Fp32 => self.summed_in_fp32(at, "MatMul", &[a, b], &[]),
        }
    }

    fn scale(&mut self, at: &str, x: &Value, width: u64, factor: f32) -> Value {
        let factor = self.numbers(&format!("attention.scale.{width}"), &[], &[factor]);
        self.op(at, "Mul", &[x, &factor], &[])
    }

    /// The shape [batch, −1, heads, width], as one constant for all layers that need it.
    fn heads_shape(&mut self, batch: &Value, count: u64, width: u64) -> Value {
        let name = format!("shape.heads.{count}.{width}");
        let rest = [-1, count.cast_signed(), width.cast_signed()];
        self.once(&name, |builder| {
            let rest = builder.ints(&name, &rest);
            builder.op(&name, "Concat", &[batch, &rest], &[("axis", Attribute::Int(0))])
        })
    }

    /// The shape [−1, channels].
    pub(crate) fn rows_shape(&mut self, channels: u64) -> Value {
        self.ints(&format!("shape.rows.{channels}"), &[-1, channels.cast_signed()])
    }
}

/// The number of heads and the width of each.
fn split_heads(at: &str, channels: u64, heads: Heads) -> Result<(u64, u64), Error> {
    let (Heads::Count(divisor) | Heads::Width(divisor)) = heads;
    if divisor == 0 || channels < divisor || !channels.is_multiple_of(divisor) {
        return Err(Error::Indivisible { name: full(at), channels, divisor });
    }
    Ok(match heads {
        Heads::Count(count) => (count, channels / count),
        Heads::Width(width) => (channels / width, width),
    })
}

/// width^−½.
fn inverse_root(width: u64) -> f32 {
    (width as f64).sqrt().recip() as f32
}
