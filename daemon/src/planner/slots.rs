//! Where jobs are done: aside what takes little, as many as there are cores for, and on every GPU one at a
//! time, in the order of the list; a machine without a GPU has one slot for all that takes much.

use checkpoint::Id;
use protocol::GpuReading;

use super::{Closed, Obstacle, Place, Snapshot, Takes, Wait, Want, Work, crowding, shortage};
use crate::gate::Gpu;

/// Where a job is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// On the CPU, beside all else.
    Aside,
    /// On the GPU of this number in the list; 0 is the CPU of a machine without any.
    Device(usize),
}

impl Snapshot<'_> {
    /// The slot for a job, if there is one that is free, and open unless the job is urgent.
    pub(crate) fn slot_for(&self, want: &Want) -> Option<Slot> {
        // Two jobs on one engine would write the same files.
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

    /// Whether it is known how the slot is used, where that counts.
    fn is_seen(&self, slot: Slot) -> bool {
        slot == Slot::Aside || self.gpus.is_empty() || self.readings.is_some()
    }

    /// Those that take much, whatever is done there.
    pub(crate) fn devices(&self) -> impl Iterator<Item = Slot> + use<> {
        (0..self.gpus.len().max(1)).map(Slot::Device)
    }

    /// The slots where a job can be done at all.
    pub(crate) fn slots<'a>(&'a self, place: &'a Place) -> impl Iterator<Item = Slot> + 'a {
        let is_right = move |slot: &Slot| match (place, slot) {
            (Place::Aside, slot) => *slot == Slot::Aside,
            (_, Slot::Aside) => false,
            (Place::Any, Slot::Device(_)) => true,
            (Place::Model(name), slot) => self.gpu_at(*slot).is_some_and(|gpu| gpu.name == *name),
        };
        std::iter::once(Slot::Aside).chain(self.devices()).filter(is_right)
    }

    /// What is done there, where that leaves no place for more.
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

    /// The GPU that a slot is.
    pub(crate) fn gpu_at(&self, slot: Slot) -> Option<&Gpu> {
        match slot {
            Slot::Aside => None,
            Slot::Device(number) => self.gpus.get(number),
        }
    }

    /// What a job that nothing else speaks against waits for.
    pub(crate) fn awaited(&self, want: &Want) -> Wait<'_> {
        let place = &want.takes.place;
        let first = self.slots(place).next();
        let closed = first.and_then(|slot| self.closed_to(slot, &want.engine));
        let occupied = self.slots(place).find_map(|slot| self.work_at(slot));
        match (occupied, closed) {
            (_, Some(closed @ (Closed::Paused | Closed::Never))) => Wait::Closed(closed),
            (Some(work), _) => Wait::After(self.key(&work.want.weights)),
            (None, Some(closed)) => Wait::Closed(closed),
            (None, None) => Wait::Next,
        }
    }

    /// What a job waits for that may go by itself: memory of every GPU that it could be done on, or of the
    /// machine.
    pub(crate) fn lacks(&self, job: &Id, takes: &Takes) -> Option<Obstacle> {
        let mut shortages = self.slots(&takes.place).map(|slot| self.shortage_at(slot, job, takes));
        let first = shortages.next().flatten();
        let on_gpus = first.filter(|_| shortages.all(|shortage| shortage.is_some()));
        on_gpus.or_else(|| {
            let others = self.work.iter().map(|work| work.want.takes.memory_bytes).sum();
            crowding(takes.memory_bytes, others, self.memory_free)
        })
    }

    /// The same for one slot. The memory that another job of ours has there is no matter: it is free by
    /// the time that this one starts.
    fn shortage_at(&self, slot: Slot, job: &Id, takes: &Takes) -> Option<Obstacle> {
        let Slot::Device(number) = slot else { return None };
        if takes.gpu_bytes == 0 {
            return None;
        }
        let reading = self.reading(number).filter(|_| self.work_at(slot).is_none());
        let ran_out = self.ran_out.get(job).copied();
        shortage(takes.gpu_bytes, number, reading, ran_out)
    }

    /// How a GPU was used when it was last looked at.
    pub(crate) fn reading(&self, number: usize) -> Option<&GpuReading> {
        self.readings.as_ref()?.get(number)
    }

    /// Bytes of the disk that the jobs under way will take.
    pub(crate) fn disk_taken(&self) -> u64 {
        self.work.iter().map(|work| work.want.takes.disk_bytes).sum()
    }

    /// Whether something is done with this engine.
    pub(crate) fn is_worked_on(&self, engine: &Id) -> bool {
        self.work.iter().any(|work| work.want.engine == *engine)
    }

    /// Whether this very job is under way.
    pub(crate) fn is_under_way(&self, job: &Id) -> bool {
        self.work.iter().any(|work| work.want.job == *job)
    }
}
