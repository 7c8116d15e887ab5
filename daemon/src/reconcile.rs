//! The one step from what is to what should be.

use checkpoint::Id;
use config::runtime::BUILDABLE;
use engine::{EngineSpec, Phase, Removal, Source, Task, Weights, is_disk_full};
use protocol::{Garbage, Reply, list_changes};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::{
    api::{requests::other, view},
    event_loop::Actor,
    gate::Gpu,
    jobs::history::Ended,
    planner::{
        Errand,
        plan::{self, Dispatch, Eviction, Next},
        slots::Slot,
    },
    publish::indexing::{index, places},
};

impl Actor {
    /// Brings everything to where it should be, if it is time to: jobs end, engines go, jobs begin, and others
    /// are told. Nothing else does any of this, and nothing but the loop calls it.
    pub(crate) fn reconcile(&mut self) {
        let started = Instant::now();
        if !self.is_reconcile_due(started) {
            return;
        }
        self.due.show = None;
        self.observe();
        let mut news = self.world.take_news();
        let mut garbage = Vec::new();
        self.queue = loop {
            let plan = plan::plan(&self.world, news);
            if plan.is_settled() {
                break plan.queue;
            }
            plan.end.iter().for_each(|(job, why)| self.end(*job, why));
            plan.evict.into_iter().for_each(|eviction| self.evict(eviction, &mut garbage));
            plan.dispatch.into_iter().for_each(|dispatch| self.dispatch(dispatch));
            // What begins after that is not meant.
            (news.paused, news.reconfigured) = (false, false);
        };
        if news.tidying {
            self.sweep(&mut garbage);
        }
        self.publish();
        self.notify(garbage);
        self.look_for_room();
        self.look_for_memory();
        self.note_showing(started.elapsed());
        self.tidy_soon();
    }

    /// Ends a job under way and its worker.
    fn end(&mut self, job: Id, why: &str) {
        let Some(mut running) = self.world.jobs.record_end(job) else { return };
        info!(engine = %running.work.want.engine.short(), "stopping the job: {why}");
        if running.work.want.errand == Errand::Build {
            self.record_ended(&running, Ended::Abandoned(why));
        }
        if let Some(client) = running.client.take() {
            let _ = client.send(Reply::Failed(other(&format!("not materialized: {why}"))));
        }
        self.tell_working();
    }

    /// Removes an engine. One that can't be removed is tried again the next time.
    fn evict(&mut self, eviction: Eviction, garbage: &mut Vec<Garbage>) {
        let Eviction { engine, bytes, removal, reason } = eviction;
        let path = self.world.library.plan(&engine).to_string_lossy().into_owned();
        self.world.condemned.remove(&engine);
        match self.world.library.remove(&engine, removal) {
            Ok(()) if matches!(removal, Removal::Superseded | Removal::Orphaned) => {
                garbage.push(Garbage { path, bytes, reason });
            }
            Ok(()) => {}
            Err(error) => {
                warn!("{error:#}");
                self.world.stuck.insert(engine, format!("{error:#}"));
            }
        }
    }

    fn dispatch(&mut self, dispatch: Dispatch) {
        match dispatch {
            Dispatch::Start(next) => self.start(*next),
            Dispatch::Reread(weights) => self.learn_again(&weights),
            Dispatch::Refuse(why) => {
                if let Some(client) = self.world.jobs.take_order() {
                    let _ = client.send(Reply::Failed(other(&why)));
                }
            }
        }
    }

    /// Starts a job, or notes why that can't be.
    fn start(&mut self, mut next: Next) {
        let (job, engine, weights) = (next.want.job, next.want.engine, next.want.weights);
        if let (Task::Build, Weights::Shared(signature)) = (&next.task, &next.spec.weights) {
            let parameters = self.world.store.parameters(signature);
            next.source = parameters.map(|parameters| Source::Signature { parameters });
            if next.source.is_none() {
                return self.learn_again(&weights);
            }
        }
        let (label, slot) = (next.want.label(), next.slot);
        let mut client = None;
        match next.want.errand {
            Errand::Build => info!(engine = %engine.short(), ?slot, "building {label}"),
            Errand::Validate => info!(engine = %engine.short(), ?slot, "validating {label}"),
            Errand::Materialize => {
                client = self.world.jobs.take_order();
            }
        }
        let evict = std::mem::take(&mut next.evict);
        let mut evict = evict.iter();
        let room = evict.try_for_each(|one| self.world.library.remove(one, Removal::OverQuota));
        let Err(error) = room.and_then(|()| self.launch(next, &mut client)) else { return };
        let reason = format!("{error:#}");
        if let Some(client) = client {
            return drop(client.send(Reply::Failed(other(&reason))));
        }
        warn!(engine = %engine.short(), "{reason}");
        let lasting = if is_disk_full(&error) { self.died(job, reason) } else { Some(reason) };
        if let Some(reason) = lasting {
            self.world.retry.record_failure(job, reason);
            self.learned();
        }
    }

    /// Tells other programs which engines there are and where checkpoints lie.
    fn publish(&mut self) {
        let held = self.world.catalogue.held();
        self.counts = view::counts(&self.world, &held, &self.queue);
        let places = self.is_all_read().then(|| places(&held));
        let index = self.is_index_due().then(|| index(&self.world, &held));
        drop(held);
        places.into_iter().for_each(|places| self.tell_webuis(places));
        index.into_iter().for_each(|index| self.index.publish(index));
    }

    /// Tells clients, the service manager and whoever reads the metrics what has changed.
    fn notify(&mut self, garbage: Vec<Garbage>) {
        self.note_metrics();
        self.announce();
        self.show_manager();
        self.serve_waiters();
        self.answer(garbage);
    }

    fn announce(&mut self) {
        self.watchers.state_changed();
        // Whoever watches has seen a list, and knows what has changed since.
        let before = self.list.take().unwrap_or_default();
        if !self.watchers.are_there() {
            return;
        }
        for event in list_changes(&before, self.list()) {
            self.watchers.tell(&event);
        }
        self.watchers.tell_status(self.status());
    }
}

/// The GPU of a job in this slot. One for a card that TensorRT can't be told to build for is done on it.
pub(crate) fn gpu_for(gpus: &[Gpu], slot: Slot, spec: &EngineSpec) -> Option<String> {
    let is_named = |gpu: &&Gpu| !BUILDABLE.contains(&gpu.compute_capability);
    let gpu = match slot {
        Slot::Aside if spec.compute_capabilities.is_empty() => gpus.iter().find(is_named),
        Slot::Aside => None,
        Slot::Device(number) => gpus.get(number),
    };
    gpu.map(|gpu| gpu.uuid.clone())
}

/// Where a job begins.
pub(crate) fn first_phase(task: &Task) -> Phase {
    if matches!(task, Task::Validate(_)) { Phase::Load } else { Phase::Graph }
}
