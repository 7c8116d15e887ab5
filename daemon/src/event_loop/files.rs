//! Handles news of files.

use checkpoint::Id;
use engine::Weights;
use protocol::Shape;

use crate::{
    intent::left_shapes,
    inventory::{FileEvent, Lesson, Scan},
    owners::Owners,
    planner::{Desired, NoRuntime, Setback},
    timers::seconds_since_1970,
};

impl Owners {
    pub(super) fn record_files(&mut self, event: FileEvent) {
        match event {
            FileEvent::Hint(dir, hint) => {
                if self.inventory.record_hint(&dir, hint) {
                    self.timers.learned();
                }
                return;
            }
            FileEvent::Mounts(points) => return self.inventory.record_mounts(&points),
            FileEvent::Glanced(dir, trail) => return self.inventory.record_glance(&dir, &trail),
            FileEvent::Found(look, files) => return self.inventory.record_found(look, files),
            FileEvent::Scanned(look, scan) => self.record_scan(look, scan),
            FileEvent::Looked(looks) => {
                if self.inventory.record_look(looks) {
                    self.timers.learned();
                }
            }
            FileEvent::Polled(on, changed, took) => {
                return self.inventory.record_poll(on, changed, took);
            }
            FileEvent::Compared(compared) => {
                self.inventory.record_compared(compared);
                self.timers.learned();
            }
            FileEvent::Settled(due) => self.inventory.record_settled(due),
            FileEvent::Read(reading, learned) => {
                let lesson = self.inventory.record_read(reading, learned);
                self.record_lesson(&lesson);
            }
            FileEvent::Named => {
                self.inventory.record_named();
                return self.timers.learned();
            }
            FileEvent::A1111Hashes(hashes) => {
                return self.inventory.record_a1111_hashes(hashes);
            }
            FileEvent::PutOff(path, stamp, wait) => {
                return self.inventory.record_put_off(&path, &stamp, wait);
            }
            FileEvent::Believed(learned) => {
                let lesson = self.inventory.record_hashed(learned);
                // Nothing was read here.
                self.record_lesson(&Lesson { bytes: 0, ..lesson });
            }
            FileEvent::Hashed(learned) => {
                let lesson = self.inventory.record_hashed(learned);
                self.record_lesson(&lesson);
            }
        }
        self.changed();
    }

    fn record_lesson(&mut self, lesson: &Lesson) {
        self.metrics.hashed.inc_by(lesson.bytes);
        // The checkpoint continues under its own ids.
        if let Some((before, now)) = &lesson.hashed {
            self.intent.record_hashed(&before.weights, now.weights);
            self.jobs.record_hashed(before, now);
            self.notices.record_hashed(&before.weights, now.weights);
            self.retry.record_hashed(&before.unet, now.unet);
            self.store.record_hashed(&before.weights, &now.weights);
        }
        self.forgive(lesson);
        self.timers.learned();
    }

    fn record_scan(&mut self, look: u64, scan: Scan) {
        if self.inventory.record_scan(look, scan) {
            self.timers.learned();
        }
        self.library.record_findings();
        self.record_first_survey();
        if matches!(self.desired.target(), Err(problem) if *problem != NoRuntime::Sought) {
            self.look_for_runtime(None);
        }
    }

    /// Once every models folder was looked at, or given up, the start is over.
    pub(super) fn record_first_survey(&mut self) {
        if self.inventory.take_renamed() {
            self.desired.forget();
        }
        if self.inventory.take_first_survey() {
            self.record_left_shapes();
            self.look_for_a1111_hashes();
            self.manager.ready();
        }
    }

    /// Lets the jobs of files that were read again be retried; when the rest of a file is read after its
    /// header, jobs that needed only the header are not.
    fn forgive(&mut self, lesson: &Lesson) {
        let (read, is_hashed) = (&lesson.weights, lesson.hashed.is_some());
        if self.retry.setbacks().is_empty() {
            return;
        }
        let snapshot = self.snapshot();
        let held = snapshot.catalogue.held();
        let wanted = held.iter().filter(|(weights, _)| read.contains(weights));
        let mut failed: Vec<Id> = Vec::new();
        for (_, held) in wanted {
            let engines = snapshot.desired(held);
            let needs_content = |desired: &&Desired| {
                !is_hashed || matches!(desired.wanted.spec.weights, Weights::Baked(_))
            };
            let engines = engines.iter().filter(needs_content).map(|desired| desired.engine);
            let is_failed =
                |engine: &Id| matches!(snapshot.setbacks.get(engine), Some(Setback::Failed(_)));
            failed.extend(engines.filter(is_failed));
        }
        for engine in failed {
            self.retry.forgive(engine);
        }
    }

    /// Records the shapes that front ends requested while the daemon was not running.
    pub(super) fn record_left_shapes(&mut self) {
        for (signature, shapes) in left_shapes::take(&self.config.data_dir.join("shapes")) {
            self.record_shapes(signature, &shapes);
        }
    }

    /// Records the shapes used with a signature.
    pub(super) fn record_shapes(&mut self, signature: Id, shapes: &[Shape]) {
        let (limit, now) = (self.config.fixed_engines, seconds_since_1970());
        if self.intent.record_shapes(signature, shapes, limit, now) {
            self.desired.forget();
            self.changed();
        }
        self.timers.learned();
    }
}
