use anyhow::{Context, Result, bail, ensure};
use config::ComputeCapability;
use engine::{Job, Profile};
use trtx::{
    Builder, BuilderConfig, EngineInvalidityDiagnostics as Invalid, Logger, OnnxParser,
    OptProfileSelector, Runtime,
};

use super::super::{Phase, at, failure::Trouble, model::Model, progress::Monitor};

/// `1 << 0`, with which TensorRT-RTX takes the types of a network from its graph.
const STRONGLY_TYPED: u32 = 1;

/// `kWARNING`, for the parser's `parseFromFile`.
const PARSER_VERBOSITY: i32 = 2;

/// Builds the plan of an ONNX file and passes it to `keep`. The outer result is TensorRT's, the inner one is
/// `keep`'s.
pub(in super::super) fn build<T>(
    job: &Job,
    model: &Model,
    keep: impl FnOnce(&[u8]) -> T,
    logger: &Logger,
) -> Result<T> {
    // It loads more libraries for this, which may be missing.
    let mut builder = Builder::new(logger)
        .map_err(|error| Trouble(format!("cannot create TensorRT's builder: {error:#}")))?;
    let network = builder.create_network(STRONGLY_TYPED)?;
    let mut parser = OnnxParser::new(network, logger)?;
    at(Phase::Parse, 0);
    let path = model.path.to_str().context("the data folder's path is not UTF-8")?;
    parser.parse_from_file(path, PARSER_VERBOSITY).context("TensorRT cannot parse the graph")?;
    at(Phase::Parse, 100);

    let mut config = builder.create_builder_config()?;
    config.set_progress_monitor(Box::new(Monitor::default()))?;
    choose_gpus(&mut config, &job.spec.compute_capabilities)?;
    for profile in &model.profiles {
        add_profile(&mut builder, &mut config, profile)?;
    }
    at(Phase::Build, 0);
    let plan = builder
        .build_serialized_network(parser.network_mut(), &mut config)
        .context("TensorRT could not build the engine")?;
    check(&plan, logger)?;
    Ok(keep(&plan))
}

fn choose_gpus(
    config: &mut BuilderConfig<'_>,
    compute_capabilities: &[ComputeCapability],
) -> Result<()> {
    let count = i32::try_from(compute_capabilities.len())?;
    if count == 0 {
        return Ok(());
    }
    config.set_nb_compute_capabilities(count)?;
    for (index, wanted) in (0..count).zip(compute_capabilities) {
        config.set_compute_capability(compute_capability(*wanted)?, index)?;
    }
    Ok(())
}

fn compute_capability(wanted: ComputeCapability) -> Result<trtx::ComputeCapability> {
    use trtx::ComputeCapability as Known;
    Ok(match (wanted.major, wanted.minor) {
        (7, 5) => Known::kSM75,
        (8, 0) => Known::kSM80,
        (8, 6) => Known::kSM86,
        (8, 9) => Known::kSM89,
        (12, 0) => Known::kSM120,
        (12, 1) => Known::kSM121,
        _ => bail!(
            "TensorRT-RTX does not build for compute capability {wanted}, only for 7.5, 8.0, 8.6, \
             8.9, 12.0 and 12.1"
        ),
    })
}

fn add_profile(
    builder: &mut Builder<'_>,
    config: &mut BuilderConfig<'_>,
    profile: &Profile,
) -> Result<()> {
    let mut optimization = builder.creata_optimization_profile()?;
    for (name, shapes) in &profile.inputs {
        for (selector, shape) in [
            (OptProfileSelector::kMIN, &shapes.min),
            (OptProfileSelector::kOPT, &shapes.opt),
            (OptProfileSelector::kMAX, &shapes.max),
        ] {
            let shape: Vec<i64> =
                shape.iter().map(|size| i64::try_from(*size)).collect::<Result<_, _>>()?;
            optimization
                .set_dimensions(name, selector, &trtx::trtx_sys::Dims::from_slice(&shape))
                .with_context(|| format!("shape {shape:?} of {name}"))?;
        }
    }
    config.add_optimization_profile(&mut optimization)?;
    Ok(())
}

/// Fails if TensorRT calls the plan broken. That it can't run on this machine is no error: without a driver,
/// or with another GPU than the plan's, TensorRT calls it invalid for that alone.
fn check(plan: &[u8], logger: &Logger) -> Result<()> {
    let runtime = Runtime::new(logger).context("cannot create TensorRT's runtime")?;
    let (validity, why) = runtime.engine_validity(plan)?;
    eprintln!("TensorRT's verdict on the plan: {validity:?} {why:?}");
    let broken = Invalid::MALFORMED_ENGINE | Invalid::VERSION_MISMATCH;
    ensure!(!why.intersects(broken), "TensorRT built an invalid plan ({why:?})");
    Ok(())
}
