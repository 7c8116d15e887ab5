//! The reasons that clients see: each case with its data, and its text.

use std::fmt;

use checkpoint::Id;
use engine::{Limit, reach};
use protocol::{EntryKey, Image, Timing, Unusable};

use crate::{
    gate::Gpu,
    inventory::{MayLie, Waits},
    planner::{Judgement, NoRuntime, Wait},
};

/// Why a checkpoint or one of its engines is in its state; the text is what users see.
#[derive(Clone)]
pub(crate) enum Reason<'a> {
    /// The file is no longer changing, but not read yet.
    Settling(&'a Waits),
    /// The file has settled, and waits for others to be read.
    Unread,
    /// The file is not a checkpoint, or can't be read: why, in words.
    Rejected(&'a str),
    NoRuntime(&'a NoRuntime),
    /// A rule excludes it.
    NotWanted,
    /// Building its engine failed: why, in the worker's words.
    Failed(&'a str),
    /// The user removed this checkpoint's engine.
    Removed(EntryKey),
    Waits(Wait<'a>),
    /// Its engine is being validated, or will be once this is over.
    Unvalidated(Option<Wait<'a>>),
    /// Its engine's output is wrong.
    Wrong(Judgement<'a>),
    /// This checkpoint's engine could not be validated on this GPU: why, in the worker's words.
    ValidationFailed(EntryKey, &'a Gpu, &'a str),
    /// Its engine is an earlier release's.
    Retired,
    /// Its file may be on a missing disk or in an unreadable folder.
    Away(MayLie),
    /// No file has its content; its engines are kept for this many days.
    Orphaned(f64),
}

/// Why no engine computes an image, though PyTorch can.
pub(crate) enum Gap<'a> {
    /// Validation found that this engine does not compute such large images on this GPU.
    TooLarge(Id, &'a Gpu, &'a Limit),
    /// The web UI found that this engine fails at such calls with this checkpoint.
    Unusable(Id, &'a Unusable),
    /// A front end found PyTorch to be faster than this engine.
    Slower(Id, &'a Timing),
    NoRuntime(&'a NoRuntime),
    /// A rule excludes it.
    NotWanted,
    /// Its engine is not built yet.
    Coming,
    /// No preset is large enough: each preset, and which dimensions of the image are outside of it, in words.
    Misfits(Vec<(String, Vec<String>)>, Image),
}

/// Why an engine is not among those that its checkpoint should have.
pub(crate) enum Outdated {
    /// An earlier release built it.
    Retired,
    /// Nothing replaces it.
    NotWanted,
    /// What has changed, in words.
    Changed(String),
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settling(waits) => waits.fmt(f),
            Self::Unread => f.write_str("waits to be read"),
            Self::Rejected(why) | Self::Failed(why) => f.write_str(why),
            Self::NoRuntime(problem) => problem.fmt(f),
            Self::NotWanted => f.write_str("a rule of the configuration wants no engine for it"),
            Self::Removed(key) => {
                let reference = reference(key);
                write!(f, "its engine was removed; `sdtrtctl build {reference}` builds it again")
            }
            Self::Waits(wait) => wait.fmt(f),
            Self::Unvalidated(None) => f.write_str("to be validated on the GPU"),
            Self::Unvalidated(Some(wait)) => write!(f, "to be validated on the GPU; {wait}"),
            Self::Wrong(judgement) => write_wrong(f, judgement),
            Self::ValidationFailed(key, gpu, why) => {
                let (gpu, reference) = (&gpu.name, reference(key));
                write!(f, "not validated on {gpu}: {why}; `sdtrtctl retry {reference}` tries again")
            }
            Self::Retired => f.write_str(
                "an earlier release built it in a form that is not used any more; it is deleted once a new engine of \
                 its architecture is there",
            ),
            Self::Away(MayLie::Unlooked) => f.write_str("the models folders have not been looked at yet"),
            Self::Away(MayLie::Unread) => f.write_str("not every file has been read yet"),
            Self::Away(MayLie::At { place, why }) => {
                write!(f, "its file may be at {}, which {why}", place.display())
            }
            Self::Orphaned(days) => write!(
                f,
                "no file has this content; its engines are kept for {days} days, in case one does"
            ),
        }
    }
}

/// The checkpoint's name in commands.
fn reference(key: &EntryKey) -> String {
    match key {
        EntryKey::Path(path) => format!("'{path}'"),
        EntryKey::Weights(id) => id.short(),
    }
}

fn write_wrong(
    f: &mut fmt::Formatter<'_>,
    Judgement { proof, gpu }: &Judgement<'_>,
) -> fmt::Result {
    f.write_str("its engine was ")?;
    match proof.relative_error {
        Some(error) => write!(f, "{error:.1e}")?,
        None => f.write_str("no number")?,
    }
    f.write_str(" off ")?;
    match gpu {
        Some(gpu) => write!(f, "fp32 results on {}, and none is used", gpu.name)?,
        None => f.write_str("PyTorch's results in the web UI, which uses none")?,
    }
    write!(f, " past {:.0e}: PyTorch computes instead", proof.bound)
}

impl fmt::Display for Gap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge(engine, gpu, limit) => write!(
                f,
                "engine {} gives NaN or infinity on {} for images of more than {} pixels (found with {}); PyTorch \
                 computes it",
                engine.short(),
                gpu.name,
                limit.pixels,
                limit.input
            ),
            Self::Unusable(engine, Unusable { gpu, width, height, .. }) => {
                let engine = engine.short();
                write!(
                    f,
                    "engine {engine} gave NaN or infinity on {gpu} at {width}x{height} with this checkpoint"
                )?;
                f.write_str("; PyTorch computes it")
            }
            Self::Slower(engine, timing) => {
                let Timing { gpu, front_end, engine_milliseconds, torch_milliseconds, .. } = timing;
                write!(
                    f,
                    "PyTorch computes it: a call takes {torch_milliseconds:.1} ms on {gpu} ({front_end}), and \
                     {engine_milliseconds:.1} ms by engine {}; `prefer = \"engine\"` in the configuration would use it",
                    engine.short()
                )
            }
            Self::NoRuntime(problem) => problem.fmt(f),
            Self::NotWanted => Reason::NotWanted.fmt(f),
            Self::Coming => f.write_str("once its engine is built"),
            Self::Misfits(presets, pass) => {
                let misfits =
                    presets.iter().map(|(preset, why)| format!("{preset}: {}", why.join(", ")));
                write!(f, "{}. ", misfits.collect::<Vec<_>>().join("; "))?;
                write!(
                    f,
                    "A preset that reaches {} would do, with a rule that gives it to this checkpoint",
                    reach(pass)
                )
            }
        }
    }
}

impl fmt::Display for Outdated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retired => {
                f.write_str("an earlier release built it in a form that is not used any more")
            }
            Self::NotWanted => f.write_str("not wanted any more"),
            Self::Changed(changes) => f.write_str(changes),
        }
    }
}
