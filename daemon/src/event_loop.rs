//! The loop takes one event at a time, lets its owner record it, and reconciles.

mod due;
mod ended;
mod files;
mod gating;
mod naming;
mod orders;
mod presets;
mod questions;
mod requests;
mod runtime;
mod sharing;
mod verifying;

use engine::{Phase, Progress};
use protocol::{Event as Change, Request};
use tokio::{
    sync::mpsc,
    time::{Duration, Instant, sleep_until},
};
use tracing::warn;

use crate::{
    api::{About, Clients},
    event::Event,
    owners::Owners,
    planner::{Errand, Work},
    reconcile::reconcile,
};

/// How long stopping may wait for an engine that is being written.
const LAST_WRITE: Duration = Duration::from_secs(7);

impl Owners {
    /// Runs until told to stop.
    pub(crate) async fn run(mut self, mut events: mpsc::UnboundedReceiver<Event>) {
        self.look_for_runtime(None);
        loop {
            self.begin_due(Instant::now());
            let deadline = self.next_deadline();
            tokio::select! {
                event = events.recv() => match event {
                    None | Some(Event::Stop) => break,
                    Some(event) => self.step(event),
                },
                () = sleep_until(deadline) => self.step(Event::Tick),
            }
        }
        self.stop(&mut events).await;
    }

    /// Stops, after writing the current engine and the cache.
    pub(crate) async fn stop(&mut self, events: &mut mpsc::UnboundedReceiver<Event>) {
        self.manager.stopping();
        self.news.stopping = true;
        let end = Instant::now() + LAST_WRITE;
        let is_writing = |work: &Work| work.progress.phase == Phase::Write;
        // An engine that is being written is published; other jobs are abandoned.
        while self.jobs.work().any(is_writing) {
            tokio::select! {
                event = events.recv() => match event {
                    Some(event @ (Event::Progress(..) | Event::Ended(..))) => self.step(event),
                    Some(_) => {}
                    None => break,
                },
                () = sleep_until(end) => break,
            }
        }
        let jobs: Vec<_> = self.jobs.work().map(|work| work.want.job).collect();
        jobs.iter().for_each(|job| self.retry.record_over(job));
        self.jobs.end_all();
        self.store.set_lived_s(self.lifetime.seconds());
        if let Err(error) = self.store.flush() {
            warn!("what was learned since it could be saved last is lost: {error:#}");
        }
    }

    /// Handles one event and what follows from it. An event that must wait for the consequences of earlier
    /// ones, or for its job's phase to be shown, is handled after those.
    pub(crate) fn step(&mut self, event: Event) {
        let mut next = Some(event);
        let mut may_wait = true;
        while let Some(event) = next.take() {
            if may_wait && self.must_wait(&event) {
                next = Some(event);
            } else {
                self.record(event);
            }
            may_wait = false;
            reconcile(self);
        }
    }

    /// A query must see what the client itself has done before; and that an engine is being published is
    /// shown while it is.
    fn must_wait(&mut self, event: &Event) -> bool {
        let waits = match event {
            Event::Ended(job, _) => {
                let is_it =
                    |work: &Work| work.want.job == *job && work.want.errand == Errand::Build;
                let is_build = self.jobs.work().any(is_it);
                if is_build {
                    let publishing = Progress { phase: Phase::Publish, percent: 0 };
                    self.jobs.record_progress(*job, publishing);
                }
                return is_build;
            }
            Event::Watch(_) | Event::Ask(Request::Status | Request::List, _) => {
                self.timers.may_show(self.inventory.is_busy())
            }
            Event::Ask(Request::Shapes { .. }, _) => false,
            Event::Ask(..) => true,
            _ => false,
        };
        let waits = waits && self.timers.is_stale();
        if waits {
            self.timers.now();
        }
        waits
    }

    fn record(&mut self, event: Event) {
        match event {
            Event::Files(event) => self.record_files(event),
            Event::Runtime(found, reply) => {
                self.record_runtime(found);
                if let Some(reply) = reply {
                    self.clients.record_asked(About::Status, reply);
                    self.timers.now();
                }
            }
            Event::Gpus(found) => self.record_gpus(found),
            Event::Sampled(sampler, sample) => self.record_sample(sampler, sample),
            Event::Power(draws) => {
                if self.gate.record_power(draws) {
                    self.timers.now();
                }
            }
            Event::Progress(job, progress) => self.jobs.record_progress(job, progress),
            Event::Ended(job, result) => self.record_ended(job, result),
            Event::Verified(checked, refused, reply) => {
                self.record_verified(checked, refused, reply);
            }
            Event::Ask(request, reply) => self.record_request(request, reply),
            Event::Watch(reply) => {
                self.timers.memory_used();
                let mut clients = std::mem::take(&mut self.clients);
                let state = |clients: &Clients| Change::State {
                    status: Box::new(self.status_for(clients)),
                    checkpoints: clients.list(&self.snapshot()).values().cloned().collect(),
                };
                let _ = reply.send(clients.record_subscriber(state));
                self.clients = clients;
            }
            Event::Pulled(plan, done) => self.record_pulled(*plan, done),
            Event::Shared => self.changed(),
            Event::Unsaved => {
                self.timers.learned_but_unsaved();
                self.changed();
            }
            Event::IndexTouched if self.publisher.is_index_in_place() => {}
            Event::IndexTouched => self.timers.now(),
            Event::Reload => self.reload_and_tell(),
            Event::Tick => self.record_tick(Instant::now()),
            Event::Stop => {}
        }
    }

    fn record_tick(&mut self, now: Instant) {
        if self.inventory.is_surveyed() && self.timers.take_housekeeping(now) {
            self.record_housekeeping();
        }
    }

    /// Records that unneeded files are to be removed.
    pub(crate) fn record_housekeeping(&mut self) {
        self.record_left_shapes();
        self.news.tidying = true;
        self.timers.now();
    }
}
