//! What a client can ask, tied to the type of the answer.

use checkpoint::Id;

use crate::{
    Checkpoint, CheckpointVerdict, Coverage, Disk, Engine, ExtensionIndex, FileNames, Finished,
    Garbage, Image, JobLog, Materialized, Preset, PresetChange, PresetUse, Pulled, Reloaded, Reply,
    Request, Shape, Status, Verdict,
};

/// A request, and how to extract its answer from the reply. [`crate::Client::ask`] asks it.
#[derive(Debug)]
pub struct Question<Answer> {
    pub(crate) request: Request,
    /// The error is the reply's kind, if it answers another question.
    pub(crate) answer: fn(Reply) -> Result<Answer, String>,
}

/// A question for each request: its name, its fields, and the kind of reply with the answer inside.
macro_rules! questions {
    ($($(#[$doc:meta])* $name:ident($($field:ident: $type:ty),*)
       -> $answer:ty = $request:expr, $reply:pat => $inside:expr;)*) => {
        $(
            $(#[$doc])*
            pub fn $name($($field: $type),*) -> Question<$answer> {
                Question {
                    request: $request,
                    answer: |reply| match reply {
                        $reply => Ok($inside),
                        other => Err(other.kind()),
                    },
                }
            }
        )*
    };
}

questions! {
    /// [`Request::Status`].
    status() -> Status = Request::Status, Reply::Status(status) => *status;
    /// [`Request::List`].
    list() -> Vec<Checkpoint> = Request::List, Reply::List(list) => list.0;
    /// [`Request::Show`].
    show(reference: String) -> Checkpoint =
        Request::Show { reference }, Reply::Checkpoint(checkpoint) => checkpoint;
    /// [`Request::Names`].
    names(reference: Option<String>) -> Vec<FileNames> =
        Request::Names { reference }, Reply::Names(names) => names;
    /// [`Request::Check`].
    check(reference: Option<String>, image: Image) -> Vec<Coverage> =
        Request::Check { reference, image }, Reply::Coverage(coverage) => coverage;
    /// [`Request::Build`].
    build(reference: String, now: bool) -> Checkpoint =
        Request::Build { reference, now }, Reply::Checkpoint(checkpoint) => checkpoint;
    /// [`Request::Pause`].
    pause(seconds: Option<f64>) -> Status =
        Request::Pause { seconds }, Reply::Status(status) => *status;
    /// [`Request::Resume`].
    resume() -> Status = Request::Resume, Reply::Status(status) => *status;
    /// [`Request::Retry`].
    retry(reference: String) -> Checkpoint =
        Request::Retry { reference }, Reply::Checkpoint(checkpoint) => checkpoint;
    /// [`Request::Validate`].
    validate(reference: String) -> Checkpoint =
        Request::Validate { reference }, Reply::Checkpoint(checkpoint) => checkpoint;
    /// [`Request::Presets`].
    presets() -> Vec<PresetUse> = Request::Presets, Reply::Presets(presets) => presets;
    /// [`Request::SetPreset`].
    set_preset(preset: Preset, dry_run: bool) -> PresetChange =
        Request::SetPreset { preset, dry_run }, Reply::PresetChange(change) => change;
    /// [`Request::RemovePreset`].
    remove_preset(name: String, dry_run: bool) -> PresetChange =
        Request::RemovePreset { name, dry_run }, Reply::PresetChange(change) => change;
    /// [`Request::Materialize`].
    materialize(reference: String, output: String) -> Materialized =
        Request::Materialize { reference, output }, Reply::Materialized(engine) => engine;
    /// [`Request::Shapes`].
    shapes(signature: Id, shapes: Vec<Shape>) -> () =
        Request::Shapes { signature, shapes }, Reply::Noted => ();
    /// [`Request::Remove`].
    remove(engine: String) -> Id = Request::Remove { engine }, Reply::Removed(key) => key;
    /// [`Request::Wait`].
    wait(reference: Option<String>, timeout_s: f64) -> Vec<Checkpoint> =
        Request::Wait { reference, timeout_s }, Reply::List(list) => list.0;
    /// [`Request::Verify`].
    verify() -> Vec<Verdict> = Request::Verify, Reply::Verified(verdicts) => verdicts;
    /// [`Request::VerifyCheckpoints`].
    verify_checkpoints() -> Vec<CheckpointVerdict> =
        Request::VerifyCheckpoints, Reply::VerifiedCheckpoints(verdicts) => verdicts;
    /// [`Request::WebUis`].
    webuis() -> Vec<ExtensionIndex> = Request::WebUis, Reply::WebUis(indexes) => indexes;
    /// [`Request::Disk`].
    disk() -> Disk = Request::Disk, Reply::Disk(disk) => disk;
    /// [`Request::Pin`].
    pin(reference: String) -> Vec<Engine> =
        Request::Pin { reference }, Reply::Engines(engines) => engines;
    /// [`Request::Unpin`].
    unpin(reference: String) -> Vec<Engine> =
        Request::Unpin { reference }, Reply::Engines(engines) => engines;
    /// [`Request::Gc`].
    gc(dry_run: bool) -> Vec<Garbage> = Request::Gc { dry_run }, Reply::Garbage(garbage) => garbage;
    /// [`Request::Log`].
    log(reference: Option<String>) -> JobLog = Request::Log { reference }, Reply::Log(log) => log;
    /// [`Request::History`].
    history() -> Vec<Finished> = Request::History, Reply::History(history) => history;
    /// [`Request::Reload`].
    reload() -> Reloaded = Request::Reload, Reply::Reloaded(reloaded) => reloaded;
    /// [`Request::Pull`].
    pull(url: Option<String>, engines: Vec<String>) -> Vec<Pulled> = Request::Pull { url, engines }, Reply::Pulled(pulled) => pulled;
    /// [`Request::FindRuntime`].
    find_runtime() -> Status = Request::FindRuntime, Reply::Status(status) => *status;
}
