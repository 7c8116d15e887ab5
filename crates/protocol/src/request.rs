use serde::{Deserialize, Serialize};

use crate::{
    Checkpoint, Coverage, Disk, Engine, ExtensionIndex, Finished, Garbage, Image, JobLog, List,
    Materialized, Reloaded, Shape, Status,
};

/// The first line of each side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Hello {
    /// [`crate::VERSION`] of the sender.
    pub protocol: u32,
    /// Version of the sender's program.
    pub version: String,
}

/// What a client asks. A `reference` is an id prefix, a path or a file name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// [`Reply::Status`].
    Status,
    /// [`Reply::List`] of everything known.
    List,
    /// [`Reply::Checkpoint`].
    Show {
        /// Which one.
        reference: String,
    },
    /// Which engine would make an image, for one checkpoint or for all; [`Reply::Coverage`].
    Check {
        /// Which checkpoint.
        reference: Option<String>,
        /// The image.
        image: Image,
    },
    /// Builds what is missing next, also after a failure or a removal; [`Reply::Checkpoint`].
    Build {
        /// Which one.
        reference: String,
        /// At once, even while builds are paused or the machine is busy.
        now: bool,
    },
    /// Builds nothing until [`Request::Resume`], also after a restart; [`Reply::Status`].
    Pause,
    /// Ends a pause; [`Reply::Status`].
    Resume,
    /// Tries again what failed or was rejected; [`Reply::Checkpoint`].
    Retry {
        /// Which one.
        reference: String,
    },
    /// Builds an engine with the checkpoint's weights inside; [`Reply::Materialized`] once it is there.
    Materialize {
        /// Which one.
        reference: String,
        /// The file to write: an absolute path in a folder that is there, where nothing is yet.
        output: String,
    },
    /// Tells which shapes a front end was asked for, so that they get engines of their own; [`Reply::Noted`].
    Shapes {
        /// Signature of the UNet, 64 hex digits.
        signature: String,
        /// The shapes.
        shapes: Vec<Shape>,
    },
    /// Deletes an engine, which then stays away until it is asked for; [`Reply::Removed`].
    Remove {
        /// Prefix of the engine's key.
        engine: String,
    },
    /// Scans the folders, then replies once nothing is left to do for `reference`, or at all:
    /// [`Reply::List`] of what was waited for, or [`Failure::TimedOut`].
    Wait {
        /// Which one; it may appear later.
        reference: Option<String>,
        /// Seconds to wait at most.
        timeout_s: f64,
    },
    /// [`Event`]s from here on.
    Watch,
    /// Reads every engine and compares it with its manifest; [`Reply::Verified`].
    Verify,
    /// The web UIs around the models folders; [`Reply::WebUis`].
    WebUis,
    /// What takes the room; [`Reply::Disk`].
    Disk,
    /// Keeps engines whatever comes; [`Reply::Engines`].
    Pin {
        /// Prefix of an engine's key; or a reference, for all engines that the checkpoint has.
        reference: String,
    },
    /// Undoes [`Request::Pin`]; [`Reply::Engines`].
    Unpin {
        /// As for [`Request::Pin`].
        reference: String,
    },
    /// Deletes what is of no use any more; [`Reply::Garbage`].
    Gc {
        /// Only tells what would go.
        dry_run: bool,
    },
    /// What was said during a build; [`Reply::Log`].
    Log {
        /// Prefix of an engine's key, or a reference; the build under way where absent, or the last
        /// one.
        reference: Option<String>,
    },
    /// Builds that have ended; [`Reply::History`].
    History,
    /// Reads the configuration again and applies what a running daemon can; [`Reply::Reloaded`].
    Reload,
    /// Looks for the TensorRT libraries again; [`Reply::Status`].
    FindRuntime,
}

impl Request {
    /// Whether it does no more than look: for whoever may connect, and not only for those who may
    /// change things.
    pub fn only_looks(&self) -> bool {
        match self {
            Self::Status
            | Self::List
            | Self::Show { .. }
            | Self::Check { .. }
            | Self::Wait { .. }
            | Self::Watch
            | Self::WebUis
            | Self::Disk
            | Self::Log { .. }
            | Self::History
            // Whoever makes images may say of which size.
            | Self::Shapes { .. }
            | Self::Gc { dry_run: true } => true,
            // Verifying removes what is damaged.
            _ => false,
        }
    }
}

/// What the daemon answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "reply", content = "value", rename_all = "snake_case")]
pub enum Reply {
    /// To [`Request::Status`], [`Request::Pause`], [`Request::Resume`] and [`Request::FindRuntime`].
    Status(Box<Status>),
    /// To [`Request::List`] and [`Request::Wait`].
    List(List),
    /// To [`Request::Show`], [`Request::Build`] and [`Request::Retry`].
    Checkpoint(Checkpoint),
    /// To [`Request::Check`].
    Coverage(Vec<Coverage>),
    /// To [`Request::Materialize`].
    Materialized(Materialized),
    /// To [`Request::Remove`]: the key of the engine that is gone.
    Removed(String),
    /// To [`Request::Verify`].
    Verified(Vec<Verdict>),
    /// To [`Request::WebUis`].
    WebUis(Vec<ExtensionIndex>),
    /// To [`Request::Disk`].
    Disk(Disk),
    /// To [`Request::Pin`] and [`Request::Unpin`]: the engines as they are now.
    Engines(Vec<Engine>),
    /// To [`Request::Gc`]: what went, or would.
    Garbage(Vec<Garbage>),
    /// To [`Request::Log`].
    Log(JobLog),
    /// To [`Request::History`]: the newest first.
    History(Vec<Finished>),
    /// To [`Request::Reload`].
    Reloaded(Reloaded),
    /// To [`Request::Shapes`].
    Noted,
    /// The request could not be met.
    Failed(Failure),
}

impl Reply {
    /// Its kind, as the wire names it.
    pub(crate) fn kind(&self) -> String {
        let value = serde_json::to_value(self).unwrap_or_default();
        value["reply"].as_str().unwrap_or("nothing").to_owned()
    }
}

/// What verifying found of one engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Verdict {
    /// The engine's key.
    pub key: String,
    /// The plan.
    pub path: String,
    /// What is wrong with it; absent where it is as its manifest says.
    pub problem: Option<String>,
}

/// Why a request could not be met.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Failure {
    /// Nothing has this id, path or name.
    #[error("nothing here is known as '{reference}'; {}", did_you_mean(similar))]
    NotFound {
        /// What was asked for.
        reference: String,
        /// Names that come near to it, the nearest first.
        similar: Vec<String>,
    },
    /// Several things have this id prefix or name.
    #[error("'{reference}' could be any of: {}", candidates.join(", "))]
    Ambiguous {
        /// What was asked for.
        reference: String,
        /// Each by something longer.
        candidates: Vec<String>,
    },
    /// The time was up first.
    #[error("not finished after {seconds} s: {what}")]
    TimedOut {
        /// Seconds waited.
        seconds: f64,
        /// What was not finished.
        what: String,
    },
    /// The line was not a request.
    #[error("not a request: {message}")]
    Malformed {
        /// What is wrong with it.
        message: String,
    },
    /// It was tried and did not work.
    #[error("{message}")]
    Other {
        /// What happened, to what, what to do.
        message: String,
    },
}

fn did_you_mean(similar: &[String]) -> String {
    match similar {
        [] => "`sdtrtctl list` shows what is".to_owned(),
        names => format!("did you mean {}?", names.join(" or ")),
    }
}
