use checkpoint::Id;
use serde::{Deserialize, Serialize};

use crate::{
    Checkpoint, Coverage, Disk, Engine, ExtensionIndex, FileNames, Finished, Garbage, Image,
    JobLog, List, Materialized, Preset, PresetChange, PresetUse, Pulled, Reloaded, Shape, Status,
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

/// A client's request. A `reference` is an id or the start of one, a path, a file name or a hash of the file.
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
        /// The checkpoint.
        reference: String,
    },
    /// What people and other programs know the files of one checkpoint by, or of all; [`Reply::Names`].
    Names {
        /// Which checkpoint.
        reference: Option<String>,
    },
    /// Which engine would make an image, for one checkpoint or for all; [`Reply::Coverage`].
    Check {
        /// Which checkpoint.
        reference: Option<String>,
        /// The image.
        image: Image,
    },
    /// Builds missing engines next, even after a failure or a removal; [`Reply::Checkpoint`].
    Build {
        /// The checkpoint.
        reference: String,
        /// At once, even while paused or on a busy machine.
        now: bool,
    },
    /// Stops the running jobs, and starts none until [`Request::Resume`], even after a restart; [`Reply::Status`].
    Pause {
        /// Ends by itself after so many seconds; absent if only [`Request::Resume`] ends it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seconds: Option<f64>,
    },
    /// Ends a pause; [`Reply::Status`].
    Resume,
    /// Retries what failed or was rejected; [`Reply::Checkpoint`].
    Retry {
        /// The checkpoint.
        reference: String,
    },
    /// Validates a checkpoint's engines again on the GPUs; they are used meanwhile; [`Reply::Checkpoint`].
    Validate {
        /// The checkpoint.
        reference: String,
    },
    /// All presets; [`Reply::Presets`].
    Presets,
    /// Writes a preset for all checkpoints into the configuration, and applies it; [`Reply::PresetChange`].
    SetPreset {
        /// Instead of the one of its name.
        preset: Preset,
        /// Only says what it would bring.
        #[serde(default)]
        dry_run: bool,
    },
    /// Removes a preset from the configuration; [`Reply::PresetChange`].
    RemovePreset {
        /// Its name.
        name: String,
        /// Only says what it would bring.
        #[serde(default)]
        dry_run: bool,
    },
    /// Builds an engine with the checkpoint's weights inside; [`Reply::Materialized`] once it is written.
    Materialize {
        /// The checkpoint.
        reference: String,
        /// The file to write: an absolute path to a new file in an existing folder.
        output: String,
    },
    /// Reports shapes that a front end was asked for, so that they get engines of their own; [`Reply::Noted`].
    Shapes {
        /// Signature of the UNet.
        signature: Id,
        /// The shapes.
        shapes: Vec<Shape>,
    },
    /// Deletes an engine, which is then rebuilt only on request; [`Reply::Removed`].
    Remove {
        /// Prefix of the engine's key.
        engine: String,
    },
    /// Scans the folders, then replies once nothing is left to do, for `reference` or at all:
    /// [`Reply::List`] of what was waited for, or [`Failure::TimedOut`].
    Wait {
        /// The checkpoint; it may appear later.
        reference: Option<String>,
        /// Maximum time to wait, in seconds.
        timeout_s: f64,
    },
    /// [`Event`](crate::Event)s from here on.
    Watch,
    /// Reads every engine and compares it with its manifest; [`Reply::Verified`].
    Verify,
    /// Reads every checkpoint as a whole and compares it with what is known of it, which may take hours;
    /// [`Reply::VerifiedCheckpoints`].
    VerifyCheckpoints,
    /// The web UIs around the models folders; [`Reply::WebUis`].
    WebUis,
    /// Disk usage; [`Reply::Disk`].
    Disk,
    /// Never deletes these engines; [`Reply::Engines`].
    Pin {
        /// Prefix of an engine's key; or a reference, for all of the checkpoint's engines.
        reference: String,
    },
    /// Undoes [`Request::Pin`]; [`Reply::Engines`].
    Unpin {
        /// As for [`Request::Pin`].
        reference: String,
    },
    /// Deletes what is no longer needed; [`Reply::Garbage`].
    Gc {
        /// Only reports what would be deleted.
        dry_run: bool,
    },
    /// A build's log; [`Reply::Log`].
    Log {
        /// Prefix of an engine's key, or a reference; if absent, the running build or the last one.
        reference: Option<String>,
    },
    /// Finished builds; [`Reply::History`].
    History,
    /// Rereads the configuration and applies what a running daemon can; [`Reply::Reloaded`].
    Reload,
    /// Searches for the TensorRT libraries again; [`Reply::Status`].
    FindRuntime,
    /// Takes engines out of a store; [`Reply::Pulled`].
    Pull {
        /// The store's address, such as `file:///media/stick`; if absent, the configured one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
        /// Prefixes of the engines' keys; if there are none, all that this machine can use.
        #[serde(default)]
        engines: Vec<String>,
    },
}

impl Request {
    /// Whether it changes nothing, so that everyone who may connect may send it.
    pub fn only_looks(&self) -> bool {
        match self {
            Self::Status
            | Self::List
            | Self::Show { .. }
            | Self::Names { .. }
            | Self::Check { .. }
            | Self::Wait { .. }
            | Self::Watch
            | Self::WebUis
            | Self::Disk
            | Self::Log { .. }
            | Self::History
            // Whoever generates images may report their sizes.
            | Self::Shapes { .. }
            | Self::Presets
            | Self::SetPreset { dry_run: true, .. }
            | Self::RemovePreset { dry_run: true, .. }
            | Self::Gc { dry_run: true } => true,
            // Verifying removes damaged engines.
            _ => false,
        }
    }
}

/// The daemon's reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "reply", content = "value", rename_all = "snake_case")]
pub enum Reply {
    /// To [`Request::Status`], [`Request::Pause`], [`Request::Resume`] and [`Request::FindRuntime`].
    Status(Box<Status>),
    /// To [`Request::List`] and [`Request::Wait`].
    List(List),
    /// To [`Request::Show`], [`Request::Build`], [`Request::Validate`] and [`Request::Retry`].
    Checkpoint(Checkpoint),
    /// To [`Request::Names`]: by location.
    Names(Vec<FileNames>),
    /// To [`Request::Check`].
    Coverage(Vec<Coverage>),
    /// To [`Request::Presets`].
    Presets(Vec<PresetUse>),
    /// To [`Request::SetPreset`] and [`Request::RemovePreset`].
    PresetChange(PresetChange),
    /// To [`Request::Materialize`].
    Materialized(Materialized),
    /// To [`Request::Remove`]: the deleted engine's key.
    Removed(Id),
    /// To [`Request::Verify`].
    Verified(Vec<Verdict>),
    /// To [`Request::VerifyCheckpoints`].
    VerifiedCheckpoints(Vec<CheckpointVerdict>),
    /// To [`Request::WebUis`].
    WebUis(Vec<ExtensionIndex>),
    /// To [`Request::Disk`].
    Disk(Disk),
    /// To [`Request::Pin`] and [`Request::Unpin`]: the engines as they are now.
    Engines(Vec<Engine>),
    /// To [`Request::Gc`]: what was deleted, or would be.
    Garbage(Vec<Garbage>),
    /// To [`Request::Log`].
    Log(JobLog),
    /// To [`Request::History`]: newest first.
    History(Vec<Finished>),
    /// To [`Request::Reload`].
    Reloaded(Reloaded),
    /// To [`Request::Pull`].
    Pulled(Vec<Pulled>),
    /// To [`Request::Shapes`].
    Noted,
    /// The request failed.
    Failed(Failure),
}

impl Reply {
    /// Its kind, as on the wire.
    pub(crate) fn kind(&self) -> String {
        let value = serde_json::to_value(self).unwrap_or_default();
        value["reply"].as_str().unwrap_or("nothing").to_owned()
    }
}

/// The result of verifying one engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Verdict {
    /// The engine's key.
    pub key: Id,
    /// The plan.
    pub path: String,
    /// What is wrong with it; absent if it matches its manifest.
    pub problem: Option<String>,
}

/// The result of reading one checkpoint again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CheckpointVerdict {
    /// Where it lies.
    pub location: String,
    /// What it was known as.
    pub weights_id: Id,
    /// What it is instead, or why it can't be told; absent if it is what it was known as.
    pub problem: Option<String>,
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Failure {
    /// Nothing has this id, path or name.
    #[error("no checkpoint or engine matches '{reference}'; {}", did_you_mean(similar))]
    NotFound {
        /// The requested reference.
        reference: String,
        /// Similar names, the most similar first.
        similar: Vec<String>,
    },
    /// Several things match.
    #[error("'{reference}' is ambiguous; it matches {}", candidates.join(", "))]
    Ambiguous {
        /// The requested reference.
        reference: String,
        /// An unambiguous reference for each.
        candidates: Vec<String>,
    },
    /// The time ran out first.
    #[error("timed out after {seconds} s: {what}")]
    TimedOut {
        /// Seconds waited.
        seconds: f64,
        /// What was not finished.
        what: String,
    },
    /// The line is not a valid request.
    #[error("invalid request: {message}")]
    Malformed {
        /// What is wrong with it.
        message: String,
    },
    /// It was tried and failed.
    #[error("{message}")]
    Other {
        /// What happened, to what, what to do.
        message: String,
    },
}

fn did_you_mean(similar: &[String]) -> String {
    match similar {
        [] => "`sdtrtctl list` shows all of them".to_owned(),
        names => format!("did you mean {}?", names.join(" or ")),
    }
}
