//! The slots of jobs: aside for those that need little, as many as there are cores for, and one for each GPU,
//! in order; a machine without a GPU has one for everything that needs much.

use checkpoint::Id;
use protocol::GpuReading;

use super::{Obstacle, Place, Snapshot, Takes, Wait, Want, Work, crowding, shortage};
use crate::gate::Gpu;

/// Where a job runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// On the CPU, beside everything else.
    Aside,
    /// On the GPU with this index; 0 is the CPU of a machine without GPUs.
    Device(usize),
}

impl Snapshot<'_> {
    /// Returns a free slot for a job, if there is one; it must be open unless the job is urgent.
    pub(crate) fn slot_for(&self, want: &Want) -> Option<Slot> {
        // Two jobs for one engine would write the same files.
        if self.is_worked_on(&want.engine) {
            return None;
        }
        let may_start = |slot: &Slot| {
            self.is_seen(*slot)
                && self.closed_to(*slot, &want.engine).is_none()
                && self.shortage_at(*slot, &want.job, &want.takes).is_none()
        };
        let free = self.slots(&want.takes.place).filter(|slot| self.work_at(*slot).is_none());
        free.filter(may_start).min_by_key(|slot| self.closed_at(*slot).is_some())
    }

    /// Whether the slot's use is known, if that matters.
    fn is_seen(&self, slot: Slot) -> bool {
        slot == Slot::Aside || self.gpus.is_empty() || self.readings.is_some()
    }

    /// The slots for jobs that need much.
    pub(crate) fn devices(&self) -> impl Iterator<Item = Slot> + use<> {
        (0..self.gpus.len().max(1)).map(Slot::Device)
    }

    /// The slots where a job can run at all.
    pub(crate) fn slots<'a>(&'a self, place: &'a Place) -> impl Iterator<Item = Slot> + 'a {
        let is_right = move |slot: &Slot| match (place, slot) {
            (Place::Aside, slot) => *slot == Slot::Aside,
            (_, Slot::Aside) => false,
            (Place::Any, Slot::Device(_)) => true,
            (Place::Model(name), slot) => self.gpu_at(*slot).is_some_and(|gpu| gpu.name == *name),
        };
        std::iter::once(Slot::Aside).chain(self.devices()).filter(is_right)
    }

    /// Returns the job that occupies a slot.
    pub(crate) fn work_at(&self, slot: Slot) -> Option<&Work> {
        let uuid = self.gpu_at(slot).map(|gpu| gpu.uuid.as_str());
        let mut there =
            self.work.iter().copied().filter(|work| match (slot, &work.want.takes.place) {
                (Slot::Aside, place) => *place == Place::Aside,
                (Slot::Device(_), Place::Aside) => false,
                (Slot::Device(_), _) => work.gpu.as_deref() == uuid,
            });
        match slot {
            Slot::Aside => there.nth(self.builders.saturating_sub(1)),
            Slot::Device(_) => there.next(),
        }
    }

    /// Returns a slot's GPU.
    pub(crate) fn gpu_at(&self, slot: Slot) -> Option<&Gpu> {
        match slot {
            Slot::Aside => None,
            Slot::Device(number) => self.gpus.get(number),
        }
    }

    /// Returns what a job waits for that nothing else prevents.
    pub(crate) fn awaited(&self, want: &Want) -> Wait<'_> {
        let place = &want.takes.place;
        let first = self.slots(place).next();
        let closed = first.and_then(|slot| self.closed_to(slot, &want.engine));
        let occupied = self.slots(place).find_map(|slot| self.work_at(slot));
        match (occupied, closed) {
            (_, Some(closed)) if closed.is_wanted() => Wait::Closed(closed),
            (Some(work), _) => Wait::After(self.key(&work.want.weights)),
            (None, Some(closed)) => Wait::Closed(closed),
            (None, None) => Wait::Next,
        }
    }

    /// Returns what a job waits for that may change by itself: memory of every GPU that it could run on, or
    /// of the machine.
    pub(crate) fn lacks(&self, job: &Id, takes: &Takes) -> Option<Obstacle> {
        let mut shortages = self.slots(&takes.place).map(|slot| self.shortage_at(slot, job, takes));
        let first = shortages.next().flatten();
        let on_gpus = first.filter(|_| shortages.all(|shortage| shortage.is_some()));
        on_gpus.or_else(|| {
            let others = self.work.iter().map(|work| work.want.takes.memory_bytes).sum();
            crowding(takes.memory_bytes, others, self.memory_free)
        })
    }

    /// The same for one slot. The memory of our own job there does not count: it is free by the time that
    /// this one starts.
    fn shortage_at(&self, slot: Slot, job: &Id, takes: &Takes) -> Option<Obstacle> {
        let Slot::Device(number) = slot else { return None };
        if takes.gpu_bytes == 0 {
            return None;
        }
        let reading = self.reading(number).filter(|_| self.work_at(slot).is_none());
        let ran_out = self.ran_out.get(job).copied();
        shortage(takes.gpu_bytes, number, reading, ran_out)
    }

    /// A GPU's use in the last sample.
    pub(crate) fn reading(&self, number: usize) -> Option<&GpuReading> {
        self.readings.as_ref()?.get(number)
    }

    /// Bytes on the disk that running jobs will take.
    pub(crate) fn disk_taken(&self) -> u64 {
        self.work.iter().map(|work| work.want.takes.disk_bytes).sum()
    }

    /// Whether a job for this engine is running.
    pub(crate) fn is_worked_on(&self, engine: &Id) -> bool {
        self.work.iter().any(|work| work.want.engine == *engine)
    }

    /// Whether this very job is running.
    pub(crate) fn is_under_way(&self, job: &Id) -> bool {
        self.work.iter().any(|work| work.want.job == *job)
    }
}
