//! The description of a golden checkpoint.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use safetensors::SafeTensors;
use serde::Deserialize;

use crate::array::{Array, Case};
use crate::generator::{Scale, Stream};
use crate::sample::Sample;

/// The type of the stored weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Dtype {
    /// IEEE 754 binary16.
    F16,
    /// The upper half of a binary32, rounded to nearest even.
    #[serde(rename = "BF16")]
    Bf16,
    /// IEEE 754 binary32.
    F32,
}

impl Dtype {
    /// Bytes per element.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::F16 | Self::Bf16 => 2,
            Self::F32 => 4,
        }
    }

    /// The name in safetensors files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
            Self::F32 => "F32",
        }
    }
}

/// Name and shape of a tensor.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct TensorSpec(pub String, pub Vec<usize>);

/// A case's input: a shape that the generator fills, or the values themselves (`timesteps`).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Input {
    Shape(Vec<usize>),
    Values(Vec<f32>),
}

/// Describes a checkpoint, the inputs of a few calls and, for the stored ones, the expected outputs.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Manifest {
    /// The name of the fixture.
    pub name: String,
    /// The generator's seed, for both weights and inputs.
    pub seed: u64,
    /// The type of the stored weights.
    pub dtype: Dtype,
    /// The tensors; sorted by name in the stored manifests.
    pub tensors: Vec<TensorSpec>,
    /// SHA-256 (hex) of all tensors' bytes in name order, if known.
    #[serde(default)]
    pub sha256: Option<String>,
    /// Additional factors for some tensors: powers of two, by the suffix of their names.
    #[serde(default)]
    factors: BTreeMap<String, f32>,
    #[serde(default)]
    cases: Vec<CaseSpec>,
}

/// A case: its inputs, the kind of its latents, and the stored part of its output.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct CaseSpec {
    /// The kind of `sample`; noise if absent.
    input: Option<Sample>,
    /// The fixture has every `every`-th row and column of the output.
    every: Option<usize>,
    #[serde(flatten)]
    inputs: BTreeMap<String, Input>,
}

/// Names of the stored manifests, sorted.
///
/// # Errors
/// If the folder of fixtures can't be listed.
pub fn names() -> Result<Vec<String>> {
    let folder = fixtures();
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let file = entry?.file_name();
        if let Some(name) = file.to_str().and_then(|name| name.strip_suffix(".json")) {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

impl Manifest {
    /// Reads a stored manifest, one of [`names`].
    ///
    /// # Errors
    /// If there is none of that name, or it can't be read.
    pub fn load(name: &str) -> Result<Self> {
        let path = fixtures().join(format!("{name}.json"));
        let text = fs::read(&path).with_context(|| path.display().to_string())?;
        serde_json::from_slice(&text).with_context(|| path.display().to_string())
    }

    pub(crate) fn new(name: &str, seed: u64, dtype: Dtype, tensors: Vec<TensorSpec>) -> Self {
        Self {
            name: name.to_owned(),
            seed,
            dtype,
            tensors,
            sha256: None,
            factors: BTreeMap::new(),
            cases: Vec::new(),
        }
    }

    /// Returns the same tensors with other values, for which the hash and the expected outputs do not hold.
    #[must_use]
    pub fn reseed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self.sha256 = None;
        self
    }

    /// The number of values in the tensors whose names start with `prefix`.
    #[must_use]
    pub fn parameters(&self, prefix: &str) -> u64 {
        let ours = self.tensors.iter().filter(|t| t.0.starts_with(prefix));
        ours.map(|t| t.1.iter().product::<usize>() as u64).sum()
    }

    /// Returns the inputs of each case, filled by the generator.
    #[must_use]
    pub fn inputs(&self) -> Vec<Case> {
        let cases = self.cases.iter().enumerate();
        cases.map(|(index, case)| self.case(index, case)).collect()
    }

    fn case(&self, index: usize, case: &CaseSpec) -> Case {
        let filled = case.inputs.iter().map(|(name, input)| {
            let array = match input {
                // Integers, such as `[981, 37]`, parse as a shape too.
                Input::Shape(values) if name == "timesteps" => {
                    timesteps(values.iter().map(|v| *v as f32).collect())
                }
                Input::Values(values) => timesteps(values.clone()),
                Input::Shape(shape) => match case.input.filter(|_| name == "sample") {
                    Some(sample) => self.sample(index, sample, shape),
                    None => self.input(index, name, shape),
                },
            };
            (name.clone(), array)
        });
        filled.collect()
    }

    /// Returns the input `name` of case `index` in any shape, from the generator.
    #[must_use]
    pub fn input(&self, index: usize, name: &str, shape: &[usize]) -> Array {
        let stream = Stream::new(self.seed, &format!("case.{index}.{name}"));
        Array {
            shape: shape.to_vec(),
            values: stream.values(shape.iter().product(), Scale::input()),
        }
    }

    fn sample(&self, index: usize, sample: Sample, shape: &[usize]) -> Array {
        let noise = |name: &str, shape: &[usize]| self.input(index, name, shape).values;
        Array { shape: shape.to_vec(), values: sample.values(&noise, shape) }
    }

    /// The additional factor of the tensor `name`.
    pub(crate) fn factor(&self, name: &str) -> f32 {
        let ours = self.factors.iter().filter(|(end, _)| name.ends_with(*end));
        ours.map(|(_, factor)| factor).product()
    }

    /// Returns the part of case `index`'s output [batch, channels, height, width] that [`Manifest::expected`]
    /// has.
    #[must_use]
    pub fn kept(&self, index: usize, latent: Array) -> Array {
        match self.cases[index].every {
            Some(every) => latent.every(every),
            None => latent,
        }
    }

    /// Returns the expected `latent` of each case of a stored manifest: all of it, or the part that
    /// [`Manifest::kept`] keeps.
    ///
    /// # Errors
    /// If the fixture can't be read or lacks a case.
    pub fn expected(&self) -> Result<Vec<Array>> {
        let path = fixtures().join("expected.safetensors");
        let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
        let file = SafeTensors::deserialize(&bytes)?;
        (0..self.cases.len())
            .map(|index| {
                let view = file.tensor(&format!("{}.{index}.latent", self.name))?;
                ensure!(view.dtype() == safetensors::Dtype::F32, "not f32");
                let values = view.data().chunks_exact(4);
                Ok(Array {
                    shape: view.shape().to_vec(),
                    values: values.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
                })
            })
            .collect()
    }
}

fn timesteps(values: Vec<f32>) -> Array {
    Array { shape: vec![values.len()], values }
}

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}
