//! Forms by name, for the tests and measurements that go through them.

use std::str::FromStr;

use crate::form::{
    Attention, Form, Gelu, GroupNorm, Linear, Pointwise, Projections, Scale, Softmax, Sums,
    Upsample,
};

const DEFAULT: &str = "default";

/// Something other than in the default form, by name.
type Change = (&'static str, fn(&mut Form));

const CHANGES: [Change; 14] = [
    ("linear-matmul", |form| form.linear = Linear::MatMul),
    ("linear-conv", |form| form.linear = Linear::Conv),
    ("norm-instance", |form| form.group_norm = GroupNorm::Instance),
    ("gelu-native", |form| form.gelu = Gelu::Native),
    ("gelu-erf", |form| form.gelu = Gelu::Erf),
    ("sums-linear-fp32", |form| form.sums = Sums::LinearFp32),
    ("sums-fp32", |form| form.sums = Sums::Fp32),
    ("pointwise-linear", |form| form.pointwise = Pointwise::Linear),
    ("upsample-transposed", |form| form.upsample = Upsample::Transposed),
    ("fused", |form| form.projections = Projections::Fused),
    ("attention-operator", |form| form.attention = Attention::Operator),
    ("scale-both", |form| form.attention = plain(form, Some(Scale::QueriesAndKeys), None)),
    ("scale-scores", |form| form.attention = plain(form, Some(Scale::Scores), None)),
    ("softmax-fp32", |form| form.attention = plain(form, None, Some(Softmax::Fp32))),
];

/// Plain attention, what is not given as it was.
fn plain(form: &Form, scale: Option<Scale>, softmax: Option<Softmax>) -> Attention {
    let (was_scale, was_softmax) = match form.attention {
        Attention::Plain { scale, softmax } => (scale, softmax),
        Attention::Operator => Default::default(),
    };
    let (scale, softmax) = (scale.unwrap_or(was_scale), softmax.unwrap_or(was_softmax));
    Attention::Plain { scale, softmax }
}

impl Form {
    /// The names of the forms that differ from the default in one choice.
    pub fn changes() -> impl Iterator<Item = &'static str> {
        CHANGES.iter().map(|(name, _)| *name)
    }
}

/// A part of the name was none of [`Form::changes`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown form {0:?}: known are default and, joined by +, {changes}", changes = known())]
pub struct UnknownForm(String);

fn known() -> String {
    Form::changes().collect::<Vec<_>>().join(", ")
}

impl FromStr for Form {
    type Err = UnknownForm;

    /// `default`, or what differs from it: `fused+attention-operator`.
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
