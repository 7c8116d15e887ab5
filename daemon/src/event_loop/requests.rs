//! Requests that change something.

use checkpoint::Id;
use engine::{Removal, Weights};
use protocol::{Checkpoint, Engine, EntryKey, Failure, Reply, Request, Shape, State, Verdict};
use tokio::{sync::oneshot, time::Duration};

use super::presets::PresetEdit;

use crate::{
    api::{About, Waiter, other, text},
    event::Checked,
    owners::Owners,
    planner::Desired,
    timers::seconds_since_1970,
};

/// The longest wait that a clock can certainly represent: about three years.
const LONGEST_WAIT_S: f64 = 1e8;

impl Owners {
    /// Records a request, and replies now, after the next step, or with a later event.
    pub(super) fn record_request(&mut self, request: Request, reply: oneshot::Sender<Reply>) {
        let later = match request {
            Request::Build { reference, now } => {
                self.record_build(&reference, now).map(About::Checkpoint)
            }
            Request::Validate { reference } => self.record_doubt(&reference).map(About::Checkpoint),
            Request::Retry { reference } => self.record_retry(&reference).map(About::Checkpoint),
            Request::Remove { engine } => self.record_removal(&engine).map(About::Removed),
            Request::Pause { seconds } => self.record_pause(seconds).map(|()| About::Status),
            Request::Resume => self.record_resumption().map(|()| About::Status),
            Request::Gc { dry_run: false } => {
                self.news.tidying = true;
                Ok(About::Garbage)
            }
            Request::Wait { reference, timeout_s } => {
                return self.record_wait(reference, timeout_s, reply);
            }
            Request::Materialize { reference, output } => {
                return self.record_order(&reference, &output, reply);
            }
            Request::FindRuntime => return self.look_for_runtime(Some(reply)),
            Request::Shapes { signature, shapes } => {
                return send(reply, self.record_shapes_asked(signature, &shapes));
            }
            Request::SetPreset { preset, dry_run } => {
                return send(reply, self.edit_presets(&PresetEdit::Set(preset), dry_run));
            }
            Request::RemovePreset { name, dry_run } => {
                return send(reply, self.edit_presets(&PresetEdit::Remove(name), dry_run));
            }
            Request::Pin { reference } => return send(reply, self.record_pin(&reference, true)),
            Request::Unpin { reference } => return send(reply, self.record_pin(&reference, false)),
            Request::Pull { url, engines } => return self.record_pull(url, engines, reply),
            Request::Reload => {
                let reloaded = self.reload().map(Reply::Reloaded);
                return send(reply, reloaded.map_err(|error| other(&format!("{error:#}"))));
            }
            question => return self.answer(question, reply),
        };
        match later {
            Ok(about) => {
                self.clients.record_asked(about, reply);
                self.timers.now();
            }
            Err(failure) => send(reply, Err(failure)),
        }
    }

    fn record_wait(
        &mut self,
        reference: Option<String>,
        timeout_s: f64,
        reply: oneshot::Sender<Reply>,
    ) {
        let seconds = if timeout_s.is_nan() { 0.0 } else { timeout_s };
        let timeout = Duration::from_secs_f64(seconds.clamp(0.0, LONGEST_WAIT_S));
        let reference = reference.map(|reference| self.listed(&reference).into_owned());
        let scan = self.inventory.scan_now();
        let seen = reference.as_deref().and_then(|name| self.entry(name).ok());
        let seen = seen.map(|entry| entry.key());
        self.clients.record_waiter(Waiter::new(reference, timeout, scan, seen, reply));
        self.changed();
    }

    fn record_build(&mut self, reference: &str, now: bool) -> Result<EntryKey, Failure> {
        let entry = self.entry(reference)?;
        let content = "its engine is built as soon as its content is known";
        if entry.weights_id.is_none() && self.wants_baked(&entry) {
            if let Some(weights) = self.weights_of(&entry) {
                self.inventory.hash_first(&weights);
            }
            return Err(other(&format!("'{reference}' is {}; {content}", entry.state)));
        }
        self.library.record_use(&engine_keys(&entry), seconds_since_1970());
        match entry.state {
            State::Ready | State::Building | State::Queued | State::Failed => {
                self.record_asked_for(&entry, now);
            }
            // Its engine was removed, and can be rebuilt.
            State::Off if !self.engines_for(&entry).is_empty() => {
                self.record_asked_for(&entry, now);
            }
            State::Rejected | State::Away | State::Orphaned | State::Retired | State::Off => {
                let why = entry.reason.clone().unwrap_or_default();
                return Err(other(&format!("'{reference}' is {}: {why}", entry.state)));
            }
            State::Settling | State::Identifying => {
                return Err(other(&format!("'{reference}' is {}; {content}", entry.state)));
            }
        }
        Ok(entry.key())
    }

    /// Has a checkpoint's engines validated again.
    fn record_doubt(&mut self, reference: &str) -> Result<EntryKey, Failure> {
        let entry = self.entry(reference)?;
        let engines = engine_keys(&entry);
        if engines.is_empty() {
            return Err(other(&format!("'{reference}' is {} and has no engine yet", entry.state)));
        }
        if self.gate.gpus().is_empty() {
            return Err(other("this machine has no GPU to validate engines on"));
        }
        for engine in engines {
            self.forget_failures(&engine);
            self.intent.record_doubted(engine);
        }
        Ok(entry.key())
    }

    fn record_retry(&mut self, reference: &str) -> Result<EntryKey, Failure> {
        let entry = self.entry(reference)?;
        if entry.state != State::Rejected {
            return self.record_build(reference, false);
        }
        let paths = self.inventory.catalogue().files().flat_map(|file| &file.paths);
        let paths = paths.filter(|path| entry.locations.contains(&text(path)));
        let paths: Vec<_> = paths.map(|path| path.to_path_buf()).collect();
        self.inventory.reread(&paths);
        Ok(entry.key())
    }

    /// The engines that this checkpoint should have, whether or not they exist.
    fn engines_for(&self, entry: &Checkpoint) -> Vec<Id> {
        let snapshot = self.snapshot();
        let held = snapshot.catalogue.held();
        let weights = self.weights_of(entry);
        let Some(held) = weights.and_then(|weights| held.get(&weights)) else {
            return Vec::new();
        };
        snapshot.desired(held).iter().map(|desired| desired.engine).collect()
    }

    /// Whether this checkpoint's engines are to be baked.
    fn wants_baked(&self, entry: &Checkpoint) -> bool {
        let snapshot = self.snapshot();
        let held = snapshot.catalogue.held();
        let held = self.weights_of(entry).and_then(|weights| held.get(&weights));
        let is_baked = |desired: &Desired| matches!(desired.wanted.spec.weights, Weights::Baked(_));
        held.is_some_and(|held| snapshot.desired(held).iter().any(is_baked))
    }

    /// Records a request for this checkpoint's engines that need a job.
    fn record_asked_for(&mut self, entry: &Checkpoint, now: bool) {
        let snapshot = self.snapshot();
        let is_open = |engine: &Id| match snapshot.library.manifests().get(engine) {
            None => true,
            Some(manifest) => {
                snapshot.validation_failure(engine).is_some()
                    || !snapshot.due_for(manifest, true).is_empty()
            }
        };
        let mut engines = self.engines_for(entry);
        engines.retain(is_open);
        engines.iter().for_each(|engine| self.forget_failures(engine));
        if now {
            // The latest request comes first.
            engines.into_iter().rev().for_each(|engine| self.intent.record_urgent(engine));
        } else {
            engines.into_iter().for_each(|engine| self.intent.record_asked(engine));
        }
    }

    fn record_removal(&mut self, prefix: &str) -> Result<Id, Failure> {
        let engine = self.engine(prefix)?;
        // First, because after a crash in between the engine would be rebuilt.
        self.retry.record_removal(engine);
        self.save("not removed")?;
        self.library.record_condemned(engine, Removal::Asked);
        self.intent.record_served(&engine);
        Ok(engine)
    }

    /// Somebody wants engines kept whatever comes, or no longer does.
    pub(super) fn record_pin(&mut self, reference: &str, pinned: bool) -> Result<Reply, Failure> {
        let engines = self.engines_named(reference)?;
        for engine in &engines {
            let kept = self.library.record_pin(&engine.key, pinned);
            kept.map_err(|error| other(&format!("{error:#}")))?;
        }
        self.timers.now();
        let engines = engines.iter().map(|engine| Engine { pinned, ..Engine::clone(engine) });
        Ok(Reply::Engines(engines.collect()))
    }

    /// Removes damaged engines, which are rebuilt.
    pub(super) fn record_verified(
        &mut self,
        checked: Vec<Checked>,
        refused: Vec<Verdict>,
        reply: oneshot::Sender<Reply>,
    ) {
        for engine in checked.iter().filter(|checked| checked.damaged) {
            self.library.record_condemned(engine.engine, Removal::Damaged);
        }
        let verdicts = checked.into_iter().map(|checked| checked.verdict);
        let verdicts = verdicts.chain(refused).collect();
        let _ = reply.send(Reply::Verified(verdicts));
        self.changed();
    }

    /// Records shapes that a front end was asked for.
    pub(crate) fn record_shapes_asked(
        &mut self,
        signature: Id,
        shapes: &[Shape],
    ) -> Result<Reply, Failure> {
        if let Some(problem) = shapes.iter().find_map(Shape::problem) {
            return Err(other(&problem));
        }
        self.record_shapes(signature, shapes);
        Ok(Reply::Noted)
    }
}

pub(super) fn send(reply: oneshot::Sender<Reply>, answer: Result<Reply, Failure>) {
    let _ = reply.send(answer.unwrap_or_else(Reply::Failed));
}

/// The keys of an entry's engines.
fn engine_keys(entry: &Checkpoint) -> Vec<Id> {
    entry.engines.iter().map(|engine| engine.key).collect()
}
