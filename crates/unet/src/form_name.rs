//! Forms by name, for tests and measurements.

use std::str::FromStr;

use crate::form::{
    Attention, Form, Gelu, GroupNorm, Linear, Norms, Pointwise, Projections, Scale, Softmax, Sums,
    Upsample, Values,
};

const DEFAULT: &str = "default";

/// One difference from the default form: its name, and how to make it.
type Change = (&'static str, fn(&mut Form));

const CHANGES: [Change; 17] = [
    ("linear-matmul", |form| form.linear = Linear::MatMul),
    ("linear-conv", |form| form.linear = Linear::Conv),
    ("norm-instance", |form| form.group_norm = GroupNorm::Instance),
    ("norms-native", |form| form.norms = Norms::Native),
    ("gelu-native", |form| form.gelu = Gelu::Native),
    ("gelu-erf", |form| form.gelu = Gelu::Erf),
    ("sums-linear-fp32", |form| form.sums = Sums::LinearFp32),
    ("sums-fp32", |form| form.sums = Sums::Fp32),
    ("pointwise-linear", |form| form.pointwise = Pointwise::Linear),
    ("upsample-transposed", |form| form.upsample = Upsample::Transposed),
    ("fused", |form| form.projections = Projections::Fused),
    ("attention-operator", |form| form.attention = Attention::Operator),
    ("scale-both", |form| plain(form, |scale, _, _| *scale = Scale::QueriesAndKeys)),
    ("scale-scores", |form| plain(form, |scale, _, _| *scale = Scale::Scores)),
    ("scale-scores-fp32", |form| plain(form, |scale, _, _| *scale = Scale::ScoresFp32)),
    ("softmax-native", |form| plain(form, |_, softmax, _| *softmax = Softmax::Native)),
    ("values-native", |form| plain(form, |_, _, values| *values = Values::Native)),
];

/// Changes the choices of plain attention.
fn plain(form: &mut Form, change: fn(&mut Scale, &mut Softmax, &mut Values)) {
    if form.attention == Attention::Operator {
        form.attention = Attention::default();
    }
    if let Attention::Plain { scale, softmax, values } = &mut form.attention {
        change(scale, softmax, values);
    }
}

impl Form {
    /// The names of all single differences from the default form.
    pub fn changes() -> impl Iterator<Item = &'static str> {
        CHANGES.iter().map(|(name, _)| *name)
    }
}

/// A part of the name is not among [`Form::changes`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown form {0:?}: expected default or, joined by +, {changes}", changes = known())]
pub struct UnknownForm(String);

fn known() -> String {
    Form::changes().collect::<Vec<_>>().join(", ")
}

impl FromStr for Form {
    type Err = UnknownForm;

    /// `default`, or the differences from it: `fused+attention-operator`.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let mut form = Self::default();
        for part in name.split('+').filter(|part| *part != DEFAULT) {
            let change = CHANGES.iter().find(|(name, _)| *name == part);
            let (_, apply) = change.ok_or_else(|| UnknownForm(part.to_owned()))?;
            apply(&mut form);
        }
        Ok(form)
    }
}
