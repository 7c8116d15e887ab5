//! Runs a published engine on the GPU: checks its output against fp32 and times it.

use std::{
    fs,
    io::{Read, Write},
    time::Instant,
};

use anyhow::{Context, Result};
use checkpoint::Checkpoint;
use engine::{
    BOUND, Findings, Job, PIXELS_PER_LATENT, POSITIONS_PER_PIECE, Profile, Proof, Published,
    Report, Speed, TOKENS_PER_PIECE, Weights as EngineWeights,
};
use trtx::Runtime;
use unet::Residual;

use super::{
    Phase, at, beside,
    cuda::{Cuda, OutOfMemory},
    failure::Held,
    faults::{self, Reach, Run, sizes},
    inputs::{Array, Inputs, Pattern, add_residuals, are_too_many, inputs, relative_error},
    model, percent, reference, same_weights,
    tensorrt::{Engine, Loaded, with_tensorrt},
    weights::{Weights, map},
};

/// The most latent positions of a call that is compared with fp32 on the CPU: two images of 512×512, which
/// take SD 1.5 ten seconds on two cores, or one of 768×768.
const MOST_POSITIONS: u64 = 96 * 96;

/// Timed calls of each size.
const CALLS: usize = 5;

/// Validates the engine with this checkpoint's weights.
pub(super) fn run(job: &Job, engine: &Published, checkpoint: &Checkpoint) -> Result<Report> {
    // The driver may have been updated since the machine started.
    let cuda = Cuda::new().map_err(|error| Held(format!("{error:#}")))?;
    let findings = with_tensorrt(job, |logger| {
        at(Phase::Load, 0);
        let plan = engine.plan.display();
        let file = fs::File::open(&engine.plan).with_context(|| format!("cannot open {plan}"))?;
        let mut runtime = Runtime::new(logger).context("cannot create TensorRT's runtime")?;
        let loaded = Loaded::new(&mut runtime, &map(&file)?).with_context(|| format!("{plan}"))?;
        at(Phase::Load, 30);
        let mut subject = Subject {
            cuda: &cuda,
            engine: loaded.start(&engine.kernels, cuda.card()?)?,
            residuals: Vec::new(),
        };
        if let EngineWeights::Shared(_) = job.spec.weights {
            // The engine's own binding: the recipe determines it, and worker and engine share one recipe.
            let graph = model::shared_graph(&job.spec, &checkpoint.tensors)?;
            let binding = graph.binding().context("the graph has no weight inputs")?;
            subject.engine.bind(&cuda, &Weights::new(checkpoint)?, binding)?;
            subject.residuals = graph.residuals().to_vec();
        }
        at(Phase::Load, 100);
        let start = Instant::now();
        let proof = subject.prove(job, engine, checkpoint)?;
        let proof_seconds = start.elapsed().as_secs_f64();
        let speeds = subject.speeds(&job.spec.profiles)?;
        let mut findings =
            Findings { proof, proof_seconds, speeds, limit: None, calls: 0, call_seconds: 0.0 };
        subject.look_for_faults(&job.spec.profiles, &mut findings)?;
        keep_kernels(engine, &subject.engine)?;
        Ok(findings)
    })?;
    // The file may say something else by now.
    if findings.proof.as_ref().is_ok_and(|proof| !proof.holds()) {
        same_weights(job, checkpoint)?;
    }
    Ok(Report::Validated(findings))
}

/// The engine under test and its GPU.
struct Subject<'cuda, 'runtime> {
    cuda: &'cuda Cuda,
    engine: Engine<'runtime>,
    /// What ControlNets add to, in an engine that takes it.
    residuals: Vec<Residual>,
}

impl Subject<'_, '_> {
    /// Compares a call of the first profile's minimum shape with the same in fp32.
    fn prove(
        &mut self,
        job: &Job,
        engine: &Published,
        checkpoint: &Checkpoint,
    ) -> Result<Result<Proof, String>> {
        at(Phase::Prove, 0);
        let profile = job.spec.profiles.first().context("the engine has no profile")?;
        let rows = [Pattern::Middle, Pattern::HalfFlat];
        let mut inputs = inputs(profile, &rows, |_, shapes| shapes.min.clone());
        add_residuals(&mut inputs, &self.residuals);
        let positions = inputs.get("sample").map_or(0, |sample| positions(&sample.shape));
        let call = self.engine.prepare(self.cuda, 0, &inputs)?;
        self.engine.enqueue(self.cuda, &call)?;
        let found = self.engine.output(self.cuda, &call)?;
        at(Phase::Prove, 20);
        if found.values.iter().any(|value| !value.is_finite()) {
            at(Phase::Prove, 100);
            return Ok(Ok(Proof { relative_error: None, bound: BOUND }));
        }
        if positions > MOST_POSITIONS {
            at(Phase::Prove, 100);
            return Ok(Err(
                "its output is finite; computing this size in fp32 on the CPU would take too long, so the \
                           web UI compares it with PyTorch"
                    .to_owned(),
            ));
        }
        let library = engine.onnx_runtime.as_deref();
        let expected = reference::run(checkpoint, &inputs, library, &job.folder);
        at(Phase::Prove, 100);
        Ok(expected.map_err(|error| format!("{error:#}")).map(|expected| Proof {
            relative_error: relative_error(&found, &expected),
            bound: BOUND,
        }))
    }

    /// Times each profile at its minimum, optimum and maximum size, with its optimum batch and prompt length.
    fn speeds(&mut self, profiles: &[Profile]) -> Result<Vec<Speed>> {
        let mut speeds = Vec::new();
        for (number, profile) in profiles.iter().enumerate() {
            at(Phase::Warm, percent(number, 2 * profiles.len()));
            for size in sizes(profile) {
                match self.speed(number, profile, &size) {
                    Ok(speed) => speeds.push(speed),
                    // Not a fault of the engine: this GPU has too little memory for the size.
                    Err(error) if error.is::<OutOfMemory>() => {
                        eprintln!("cannot time profile {number} at {size:?}: {error:#}");
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(speeds)
    }

    /// Tries inputs that have overflowed fp16 before at the edges of each profile.
    fn look_for_faults(&mut self, profiles: &[Profile], findings: &mut Findings) -> Result<()> {
        for (number, profile) in profiles.iter().enumerate() {
            at(Phase::Warm, 50 + percent(number, 2 * profiles.len()));
            let mut calls = Calls { subject: self, profile: number, known: Vec::new(), findings };
            match faults::reach(profile, &mut calls)? {
                Reach::All => {}
                Reach::Until(limit) => {
                    let lowest = findings.limit.take().filter(|other| other.pixels <= limit.pixels);
                    findings.limit = Some(lowest.unwrap_or(limit));
                }
                Reach::Nothing(pattern) => {
                    eprintln!(
                        "profile {number}: the output is not finite at the minimum size with {pattern}"
                    );
                    findings.proof = Ok(Proof { relative_error: None, bound: BOUND });
                }
            }
        }
        at(Phase::Warm, 100);
        Ok(())
    }

    fn speed(&mut self, number: usize, profile: &Profile, size: &faults::Size) -> Result<Speed> {
        let mut inputs = inputs(profile, &[Pattern::Middle], |name, shapes| match name {
            "sample" => [&shapes.opt[..2], &size[..]].concat(),
            _ => shapes.opt.clone(),
        });
        add_residuals(&mut inputs, &self.residuals);
        let call = self.engine.prepare(self.cuda, number, &inputs)?;
        // The first call compiles the kernels.
        self.engine.enqueue(self.cuda, &call)?;
        self.cuda.finish()?;
        let mut times = Vec::new();
        for _ in 0..CALLS {
            times.push(self.cuda.milliseconds(|| self.engine.enqueue(self.cuda, &call))?);
        }
        times.sort_unstable_by(f64::total_cmp);
        let opt = |name: &str, dimension: usize| {
            let shape = profile.inputs.get(name).map_or(&[][..], |shapes| &shapes.opt);
            shape.get(dimension).copied().unwrap_or(0)
        };
        let pieces = opt("encoder_hidden_states", 1) / POSITIONS_PER_PIECE;
        Ok(Speed {
            profile: number,
            batch: u32::try_from(opt("sample", 0))?,
            height: u32::try_from(size[0] * PIXELS_PER_LATENT)?,
            width: u32::try_from(size[1] * PIXELS_PER_LATENT)?,
            tokens: u32::try_from(pieces * TOKENS_PER_PIECE)?,
            milliseconds: times[CALLS / 2],
        })
    }
}

/// Counts and times the calls of one profile.
struct Calls<'a, 'cuda, 'runtime> {
    subject: &'a mut Subject<'cuda, 'runtime>,
    profile: usize,
    /// Shapes whose kernels have been compiled.
    known: Vec<Vec<u64>>,
    findings: &'a mut Findings,
}

impl Run for Calls<'_, '_, '_> {
    fn run(&mut self, inputs: &Inputs) -> Result<Option<Array>> {
        let Subject { cuda, engine, residuals } = &mut *self.subject;
        // As if the GPU had no memory for them: a smaller batch is tried.
        if are_too_many(inputs, residuals) {
            return Ok(None);
        }
        let mut inputs = inputs.clone();
        add_residuals(&mut inputs, residuals);
        let start = Instant::now();
        let mut run = || {
            let call = engine.prepare(cuda, self.profile, &inputs)?;
            engine.enqueue(cuda, &call)?;
            engine.output(cuda, &call)
        };
        match run() {
            Ok(found) => {
                self.findings.calls += 1;
                let shape =
                    inputs.get("sample").map(|sample| sample.shape.clone()).unwrap_or_default();
                if self.known.contains(&shape) {
                    self.findings.call_seconds += start.elapsed().as_secs_f64();
                } else {
                    self.known.push(shape);
                }
                Ok(Some(found))
            }
            // Not a fault of the engine: this GPU has too little memory for the size.
            Err(error) if error.is::<OutOfMemory>() => {
                eprintln!(
                    "not enough GPU memory for a call with profile {}: {error:#}",
                    self.profile
                );
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// The number of latent positions in a call.
fn positions(sample: &[u64]) -> u64 {
    let &[batch, _, height, width] = sample else { return 0 };
    batch * height * width
}

/// Merges the compiled kernels into the cache file of this GPU model, which another GPU or the web UI may
/// have extended meanwhile.
fn keep_kernels(engine: &Published, running: &Engine<'_>) -> Result<()> {
    let path = &engine.kernels;
    let cannot = || format!("cannot write the compiled kernels to {}", path.display());
    let folder = path.parent().with_context(cannot)?;
    fs::create_dir_all(folder).with_context(cannot)?;
    let lock = fs::File::create(path.with_extension("cache.lock")).with_context(cannot)?;
    lock.lock().with_context(cannot)?;
    let mut others = Vec::new();
    if let Ok(mut file) = fs::File::open(path) {
        file.read_to_end(&mut others).with_context(cannot)?;
    }
    let mut aside = beside(folder).with_context(cannot)?;
    aside.write_all(&running.kernels(&others)?).with_context(cannot)?;
    aside.as_file().sync_all().with_context(cannot)?;
    aside.persist(path).map(drop).map_err(|error| error.error).with_context(cannot)
}
