//! The step from the current state to the desired one.

mod dispatch;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use checkpoint::Id;
use engine::Usage;
use protocol::{Checkpoint, Event, Failure, Garbage, Reply, State};
use tokio::time::{Duration, Instant};
use tracing::{info, warn};

use crate::{
    api::{
        About, Asked, other, status, text,
        view::{self, States},
    },
    claim::Claim,
    inventory::Held,
    jobs::Ended,
    notices::Notice,
    owners::Owners,
    planner::{Errand, Eviction, Grounds, News, Plan, Snapshot, Stop, Want, plan},
    publish::{Index, index, places},
    timers::{passed, seconds_since_1970},
};

/// How often to check whether a disk has space again.
const ROOM: Duration = Duration::from_secs(5);

/// How often to look at the clock while a pause or `build_hours` is waited for: a machine that sleeps meanwhile stops
/// timers.
const CLOCK: Duration = Duration::from_secs(30);

/// How often to check whether memory is available again.
const MEMORY: Duration = Duration::from_secs(1);

/// Reconciles, if it is time to: ends jobs, evicts engines, starts jobs, publishes and notifies. Nothing else
/// does any of this, and only the loop calls it.
pub(crate) fn reconcile(owners: &mut Owners) {
    let started = Instant::now();
    if owners.timers.is_reconcile_due(started) || passed(owners.clients.deadline(), started) {
        owners.timers.record_begin();
        owners.observe();
        let mut news = owners.news.take();
        // The files in another folder are another daemon's.
        news.stopping |= owners.is_displaced();
        let mut garbage = Vec::new();
        let (queue, publication) = loop {
            let (plan, publication) = owners.decide(news);
            if let Some(publication) = publication {
                break (plan.queue, publication);
            }
            plan.end.iter().for_each(|(job, why)| owners.end(*job, why));
            plan.evict.into_iter().for_each(|eviction| owners.evict(eviction, &mut garbage));
            plan.dispatch.into_iter().for_each(|dispatch| owners.dispatch(dispatch));
            // Jobs that start after that are not affected.
            (news.paused, news.reconfigured) = (false, false);
        };
        if news.tidying {
            owners.sweep(&mut garbage);
        }
        let states = owners.publish(queue, publication);
        let engines = owners.library.engines().manifests().values();
        owners.sharing.offer(engines.map(|manifest| (manifest.key, manifest.validated_at())));
        owners.notify(&garbage);
        owners.notify_people(states);
        owners.look_again();
        owners.timers.record_end(started.elapsed());
    }
    owners.notify_work();
}

impl News {
    /// Takes the events since the last step; a stop remains.
    fn take(&mut self) -> Self {
        let next = Self { stopping: self.stopping, ..Self::default() };
        std::mem::replace(self, next)
    }
}

/// What is to be published.
struct Publication {
    states: States,
    /// The locations of checkpoints, if they have changed and all are known.
    places: Option<Vec<(Id, PathBuf)>>,
    /// `None` before every file was read: the index of the last run is better than an incomplete one.
    index: Option<Index>,
}

impl Owners {
    /// What to do now, and what is to be published once nothing is left to do. Both need the list of all contents,
    /// which takes milliseconds with thousands of checkpoints, so it is made but once.
    fn decide(&self, news: News) -> (Plan, Option<Publication>) {
        let snapshot = self.snapshot();
        let held = snapshot.catalogue.held();
        let plan = plan(&snapshot, &held, news);
        let publication = plan.is_settled().then(|| self.publication(&snapshot, &held, &plan));
        (plan, publication)
    }

    fn publication(
        &self,
        snapshot: &Snapshot<'_>,
        held: &HashMap<Id, Held<'_>>,
        plan: &Plan,
    ) -> Publication {
        let is_read = self.inventory.is_read_but_for_open_files();
        let is_due = is_read || self.publisher.is_written();
        // A checkpoint whose content is unknown would look deleted.
        let places = self.inventory.is_all_hashed().then(|| places(held));
        let places = places.filter(|places| !self.publisher.has_published(places));
        let owned = |(weights, path): (Id, &Path)| (weights, path.to_owned());
        Publication {
            states: view::states(snapshot, held, &plan.queue),
            places: places.map(|places| places.into_iter().map(owned).collect()),
            index: is_due.then(|| index(snapshot, held)),
        }
    }

    /// Updates what is known of engines, the disk and memory.
    fn observe(&mut self) {
        if self.intent.end_pause(seconds_since_1970()) {
            self.timers.learned();
        }
        let engines = self.library.engines().manifests().values();
        let engines = engines.map(|manifest| *manifest.spec.weights.id()).collect();
        if self.inventory.record_survey(&engines) {
            self.timers.learned();
        }
        let (headers, contents) = (self.inventory.is_all_seen(), self.inventory.is_all_known());
        let changes = self.snapshot().orphan_changes(headers, contents);
        changes.into_iter().for_each(|(engine, usage): (Id, Usage)| {
            self.library.record_usage(&engine, usage);
        });
        self.library.forget_stuck();
        self.library.write_usages();
        if let Some(problem) = self.claim.as_ref().and_then(Claim::problem) {
            self.retry.record_trouble(problem);
        }
        self.jobs.forget_closed_orders();
        self.gate.record_free_memory();
        // A running build already takes space.
        if self.snapshot().disk_taken() == 0 {
            self.library.record_free();
        }
    }

    /// Whether the data folder is not the one that this daemon has locked.
    fn is_displaced(&self) -> bool {
        self.claim.as_ref().is_some_and(|claim| claim.problem().is_some())
    }

    /// Ends a running job and its worker.
    fn end(&mut self, job: Id, why: &Stop) {
        let Some(mut running) = self.jobs.record_end(job) else { return };
        self.retry.record_over(&job);
        info!(engine = %running.work.want.engine.short(), "stopping the job: {why}");
        if running.work.want.errand == Errand::Build {
            self.record_history(&running, Ended::Abandoned(&why.to_string()));
        }
        if let Some(client) = running.client.take() {
            let _ = client.send(Reply::Failed(other(&format!("not materialized: {why}"))));
        }
    }

    /// Removes an engine. A failure is retried at the next step.
    fn evict(&mut self, eviction: Eviction, garbage: &mut Vec<Garbage>) {
        let is_garbage = matches!(eviction.grounds, Grounds::Superseded(_) | Grounds::Orphaned(_));
        match self.library.remove(&eviction.engine, eviction.grounds.removal()) {
            Ok(()) if is_garbage => garbage.push(self.snapshot().as_garbage(eviction)),
            Ok(()) => {}
            Err(error) => warn!("{error:#}"),
        }
    }

    /// Deletes files about removed engines.
    fn sweep(&mut self, garbage: &mut Vec<Garbage>) {
        for leftover in self.leftovers(&[]) {
            if self.library.remove_leftover(&leftover) {
                garbage.push(leftover.into());
            }
        }
    }

    /// Publishes the index and the locations of checkpoints, and returns their states by weights id.
    fn publish(&mut self, queue: Vec<Want>, publication: Publication) -> HashMap<Id, State> {
        let Publication { states, places, index } = publication;
        self.clients.show(queue, states.counts);
        if !self.is_displaced() {
            places.into_iter().for_each(|places| self.publisher.publish_places(places));
            index.into_iter().for_each(|index| self.publisher.publish_index(index));
        }
        states.live
    }

    /// Notifies clients, the service manager and metrics of what has changed.
    fn notify(&mut self, garbage: &[Garbage]) {
        self.notify_metrics();
        self.notify_work();
        let mut clients = std::mem::take(&mut self.clients);
        clients.announce(&self.snapshot());
        self.clients = clients;
        if self.clients.are_watching() {
            let status = self.status();
            self.clients.tell_status(status);
        }
        self.notify_manager();
        let mut clients = std::mem::take(&mut self.clients);
        clients.serve_waiters(&self.snapshot(), self.inventory.scans_understood());
        self.clients = clients;
        for Asked { about, reply } in self.clients.take_asked() {
            let _ = reply.send(self.answer_to(about, garbage).unwrap_or_else(Reply::Failed));
        }
    }

    /// Tells people of what is ready or has failed now, by hooks and on the desktop.
    fn notify_people(&mut self, states: HashMap<Id, State>) {
        // Before that, it would be news of everything that has long been there.
        if !self.inventory.is_surveyed() {
            return;
        }
        let news = self.notices.record(states);
        if news.is_empty() {
            return;
        }
        let clients = std::mem::take(&mut self.clients);
        let (snapshot, held) = (self.snapshot(), self.inventory.catalogue().held());
        let list = clients.list(&snapshot).values();
        let by_path: HashMap<&str, &Checkpoint> =
            list.filter_map(|entry| Some((&**entry.locations.first()?, entry))).collect();
        let notices = news.iter().filter_map(|weights| {
            let path = text(held.get(weights)?.paths.first()?);
            let entry = by_path.get(&*path)?;
            let reason = entry.reason.clone().unwrap_or_default();
            Some(Notice { state: entry.state, reason, path })
        });
        self.notices.tell(notices.collect(), &self.config);
        self.clients = clients;
    }

    /// Notifies them of jobs' progress, if there is any.
    fn notify_work(&mut self) {
        if self.jobs.take_changed() {
            self.notify_manager();
            self.clients.tell(&Event::Building(status::building(&self.snapshot())));
        }
    }

    fn notify_manager(&mut self) {
        let counts = self.clients.counts().clone();
        let glance = status::glance(&self.snapshot(), counts, self.clients.queue());
        self.manager.show(&glance);
    }

    fn notify_metrics(&self) {
        let (queue, counts) = (self.clients.queue(), self.clients.counts());
        self.metrics.show(&self.snapshot(), queue.len(), counts);
    }

    fn answer_to(&self, about: About, garbage: &[Garbage]) -> Result<Reply, Failure> {
        let stuck = self.library.stuck();
        match about {
            About::Status => Ok(Reply::Status(Box::new(self.status()))),
            About::Checkpoint(key) => self.entry(&key.to_string()).map(Reply::Checkpoint),
            About::Removed(engine) => match stuck.get(&self.library.engines().plan(&engine)) {
                Some(problem) => Err(other(problem)),
                None => Ok(Reply::Removed(engine)),
            },
            About::Garbage => match stuck.values().next() {
                Some(problem) => Err(other(problem)),
                None => Ok(Reply::Garbage(garbage.to_vec())),
            },
        }
    }

    /// Looks again before long when something waits for nothing but room or memory, and once a job that ran out of
    /// memory may start.
    fn look_again(&mut self) {
        if self.snapshot().is_crowded(self.clients.queue()) {
            self.timers.at(Instant::now() + MEMORY);
        }
        if self.snapshot().waits_for_a_time(self.clients.queue()) {
            self.timers.at(Instant::now() + CLOCK);
        }
        let waits_for_room = self.snapshot().no_room(self.clients.queue()).is_some();
        let has_unwritten = self.publisher.problem().is_some() || self.library.problem().is_some();
        if waits_for_room || has_unwritten {
            self.timers.at(Instant::now() + ROOM);
        }
        if let Some(next) = self.retry.next() {
            self.timers.at(next + Duration::from_millis(1));
        }
    }
}
