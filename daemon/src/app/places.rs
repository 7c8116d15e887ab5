//! Where jobs are done, one at a time in each place: every GPU is one, in the order of the list, and a
//! machine without a GPU is one.

use checkpoint::Id;
use protocol::GpuReading;

use super::{
    gating::Closed,
    world::{Work, World},
};
use crate::{
    gpu::Gpu,
    schedule::{Takes, Want, crowding, shortage},
};

/// What a place is told by: its number in the list.
type Place = usize;

impl World {
    /// The place for a job, if there is one that is free, and open unless the job is urgent.
    pub(super) fn place_for(&self, want: &Want) -> Option<Place> {
        let is_seen = self.gpus.is_empty() || self.readings.is_some();
        // Two jobs on one engine would write the same files.
        if !is_seen || self.is_worked_on(&want.engine) {
            return None;
        }
        let is_urgent = self.urgent.contains(&want.engine);
        let may_start = |place: &Place| {
            (is_urgent || self.closed_at(*place).is_none())
                && self.shortage_at(*place, &want.job, &want.takes).is_none()
        };
        self.first_free(&want.takes, may_start)
    }

    /// A free place for a job that `does` for it, of several an open one.
    pub(super) fn first_free(&self, takes: &Takes, does: impl Fn(&Place) -> bool) -> Option<Place> {
        let free = self.places(takes).filter(|place| self.work_at(*place).is_none()).filter(does);
        free.min_by_key(|place| self.closed_at(*place).is_some())
    }

    /// All places, whatever is done there.
    pub(super) fn all_places(&self) -> impl Iterator<Item = Place> {
        0..self.gpus.len().max(1)
    }

    /// The places where a job can be done at all.
    fn places(&self, takes: &Takes) -> impl Iterator<Item = Place> {
        let is_right = |gpu: &Gpu| takes.gpu.as_ref().is_none_or(|uuid| gpu.uuid == *uuid);
        self.all_places().filter(move |place| self.gpus.get(*place).is_none_or(is_right))
    }

    /// What is done there.
    pub(super) fn work_at(&self, place: Place) -> Option<&Work> {
        let uuid = self.uuid_at(place);
        self.work.iter().find(|work| work.gpu.as_deref() == uuid)
    }

    /// The UUID of the GPU that a place is.
    pub(super) fn uuid_at(&self, place: Place) -> Option<&str> {
        self.gpus.get(place).map(|gpu| gpu.uuid.as_str())
    }

    /// What a job that nothing else speaks against waits for.
    pub(super) fn awaited(&self, want: &Want) -> String {
        let occupied = self.places(&want.takes).find_map(|place| self.work_at(place));
        if let Some(work) = occupied {
            return format!("next, after {}", work.want.weights.short());
        }
        let first = self.places(&want.takes).next();
        let closed = first.and_then(|place| self.closed_at(place));
        closed.map_or_else(|| "next".to_owned(), Closed::awaited)
    }

    /// What a job waits for that may go by itself: memory of every GPU that it could be done on, or of the
    /// machine.
    pub(super) fn lacks(&self, job: &Id, takes: &Takes) -> Option<String> {
        let mut shortages = self.places(takes).map(|place| self.shortage_at(place, job, takes));
        let first = shortages.next().flatten();
        let on_gpus = first.filter(|_| shortages.all(|shortage| shortage.is_some()));
        on_gpus.or_else(|| {
            let others = self.work.iter().map(|work| work.want.takes.memory_bytes).sum();
            crowding(takes.memory_bytes, others, self.memory_free)
        })
    }

    /// The same for one place. The memory that another job of ours has there is no matter: it is free by
    /// the time that this one starts.
    fn shortage_at(&self, place: Place, job: &Id, takes: &Takes) -> Option<String> {
        if takes.gpu_bytes == 0 {
            return None;
        }
        let reading = self.reading(place).filter(|_| self.work_at(place).is_none());
        let ran_out = self.ran_out.get(job).map(|since| since.elapsed());
        shortage(takes.gpu_bytes, place, reading, ran_out)
    }

    /// How the GPU was used when it was last looked at.
    pub(super) fn reading(&self, place: Place) -> Option<&GpuReading> {
        self.readings.as_ref()?.get(place)
    }

    /// Bytes of the disk that the jobs under way will take.
    pub(super) fn disk_taken(&self) -> u64 {
        self.work.iter().map(|work| work.want.takes.disk_bytes).sum()
    }

    /// Whether something is done with this engine.
    pub(super) fn is_worked_on(&self, engine: &Id) -> bool {
        self.work.iter().any(|work| work.want.engine == *engine)
    }

    /// Whether this very job is under way.
    pub(super) fn is_under_way(&self, job: &Id) -> bool {
        self.work.iter().any(|work| work.want.job == *job)
    }
}
