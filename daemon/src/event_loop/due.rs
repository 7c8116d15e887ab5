//! Starts what is due.

use tokio::{
    task::spawn_blocking,
    time::{Duration, Instant},
};

use crate::{event::Event, gate::power, memory, owners::Owners, timers::passed};

impl Owners {
    /// When the next thing is due.
    pub(crate) fn next_deadline(&self) -> Instant {
        let times = [
            self.inventory.deadline(self.config.settle()),
            self.timers.deadline(self.inventory.is_surveyed()),
            self.gate.deadline(),
            self.lifetime.deadline(),
            self.manager.due,
            self.clients.deadline(),
            self.retry.runtime_deadline(),
        ];
        let far = Instant::now() + Duration::from_secs(86_400);
        times.into_iter().flatten().min().unwrap_or(far)
    }

    /// Starts what is due outside of the loop: scans, samples, and flushing the cache.
    pub(crate) fn begin_due(&mut self, now: Instant) {
        if passed(self.manager.due, now) {
            self.manager.alive(now);
        }
        let settle = self.config.settle();
        if self.inventory.begin_due(now, settle) {
            self.record_first_survey();
            self.changed();
        }
        if self.lifetime.take_keep(now) {
            self.timers.learned();
        }
        if self.timers.take_flush(now) {
            self.store.set_lived_s(self.lifetime.seconds());
            let store = self.store.clone();
            let mailbox = self.mailbox.clone();
            spawn_blocking(move || {
                if store.flush().is_err() {
                    mailbox.send(Event::Unsaved);
                }
            });
        }
        if self.timers.take_tidy(now) {
            spawn_blocking(memory::give_back);
        }
        if self.retry.record_sought(now) {
            self.look_for_runtime(None);
        }
        self.look_for_gpus_if_due(now);
        if self.gate.take_power_due(now) {
            let mailbox = self.mailbox.clone();
            spawn_blocking(move || mailbox.send(Event::Power(power::look())));
        }
        self.look_at_machine(now);
    }
}
