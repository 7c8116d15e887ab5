//! ONNX Runtime, loaded from `ORT_DYLIB_PATH`.

use std::borrow::Cow;
use std::env;
use std::path::Path;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow};
use goldens::{Array, Case};
use half::f16;
use ort::environment::Environment;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session, SessionInputValue};
use ort::value::{Tensor, TensorElementType, ValueType};

/// A UNet ready to run on the CPU.
pub(crate) struct Runtime(Session);

impl Runtime {
    pub(crate) fn load(model: &Path) -> Result<Self> {
        // If the library is missing, ort itself panics and names no remedy.
        env::var_os("ORT_DYLIB_PATH").context("ORT_DYLIB_PATH is not set: run cargo xtask test")?;
        let session = Session::builder(environment()?)
            .and_then(|builder| Ok(builder.with_intra_threads(2)?))
            .and_then(
                |builder| Ok(builder.with_optimization_level(GraphOptimizationLevel::Level1)?),
            )
            .and_then(|mut builder| builder.commit_from_file(model));
        Ok(Self(session.map_err(|error| anyhow!("{error}"))?))
    }

    /// Runs one case, rounding its inputs to the model's types. Weight inputs are part of the case.
    pub(crate) fn run(&mut self, case: &Case) -> Result<Array> {
        let mut inputs = Vec::new();
        for input in self.0.inputs() {
            let array = case.get(input.name()).context("the case lacks an input")?;
            inputs.push((Cow::from(input.name().to_owned()), tensor(array, input.dtype())?));
        }
        let outputs = self.0.run(inputs)?;
        let latent = &outputs["latent"];
        let (shape, values) = match latent.try_extract_tensor::<f32>() {
            Ok((shape, values)) => (shape, values.to_vec()),
            Err(_) => {
                let (shape, values) = latent.try_extract_tensor::<f16>()?;
                (shape, values.iter().map(|value| value.to_f32()).collect())
            }
        };
        let shape = shape.iter().map(|dim| usize::try_from(*dim)).collect::<Result<_, _>>()?;
        Ok(Array { shape, values })
    }
}

fn tensor(array: &Array, dtype: &ValueType) -> Result<SessionInputValue<'static>> {
    let shape = array.shape.clone();
    let half = matches!(dtype, ValueType::Tensor { ty: TensorElementType::Float16, .. });
    if half {
        let values: Vec<f16> = array.values.iter().map(|value| f16::from_f32(*value)).collect();
        return Ok(Tensor::from_array((shape, values))?.into());
    }
    Ok(Tensor::from_array((shape, array.values.clone()))?.into())
}

fn environment() -> Result<&'static Environment> {
    static ENVIRONMENT: OnceLock<Result<Environment, String>> = OnceLock::new();
    let environment =
        ENVIRONMENT.get_or_init(|| ort::init().build().map_err(|error| error.to_string()));
    environment.as_ref().map_err(|error| anyhow!("{error}"))
}
