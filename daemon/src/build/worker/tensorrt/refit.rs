use anyhow::{Context, Result, ensure};
use checkpoint::Dtype;
use trtx::{
    CudaEngine, Logger, Refitter, TensorLocation,
    trtx_sys::nvinfer1::{DataType, Weights as Given},
};

use super::super::weights::Weights;

/// More weights than any UNet has.
const MANY: i32 = 1 << 16;

/// Gives the engine all of its weights, those that TensorRT does not call missing too: the graph's constants
/// are among them.
pub(in super::super) fn fill(
    engine: &CudaEngine<'_>,
    weights: &Weights<'_>,
    logger: &Logger,
) -> Result<()> {
    let mut refitter = Refitter::new(engine, logger).context("the plan can't be refitted")?;
    // TensorRT reads them when all are there.
    let mut held = Vec::new();
    for name in refitter.all_weights(MANY)? {
        let prototype = refitter.weights_prototype(&name);
        let dtype = dtype(&prototype.type_)
            .with_context(|| format!("{name} is of no type that is known"))?;
        let bytes = weights.get(&name, dtype, usize::try_from(prototype.count)?)?;
        let given = Given {
            type_: prototype.type_.clone(),
            values: bytes.as_ptr().cast(),
            count: prototype.count,
        };
        set(&mut refitter, &name, given)?;
        held.push(bytes);
    }
    refitter.refit_cuda_engine().with_context(|| {
        let missing = refitter.missing_weights(MANY).unwrap_or_default();
        format!("TensorRT does not take the weights; {} are missing", missing.len())
    })?;
    ensure!(!held.is_empty(), "the engine takes no weights");
    Ok(())
}

#[expect(unsafe_code, reason = "hands TensorRT numbers by their address")]
fn set(refitter: &mut Refitter<'_, '_>, name: &str, given: Given) -> Result<()> {
    // SAFETY: the caller keeps as many numbers of that type there until the engine is refitted.
    unsafe { refitter.set_named_weights_with_location(name, given, TensorLocation::kHOST.into()) }
        .with_context(|| format!("TensorRT refuses the weight {name}"))
}

fn dtype(of: &DataType) -> Option<Dtype> {
    match of {
        DataType::kHALF => Some(Dtype::F16),
        DataType::kFLOAT => Some(Dtype::F32),
        _ => None,
    }
}
