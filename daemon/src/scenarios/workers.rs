//! A stand-in for worker processes.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use engine::Job;

use crate::jobs::{Builder, Doing, Hear};

/// Workers that end when a test says so.
#[derive(Default)]
pub(crate) struct Workers {
    started: Mutex<Vec<Job>>,
    stopped: Arc<AtomicUsize>,
}

struct Worker(Arc<AtomicUsize>);

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Builder for Workers {
    fn start(&self, job: Job, _: Hear) -> Doing {
        self.started.lock().unwrap().push(job);
        let worker = Worker(self.stopped.clone());
        Box::pin(async move {
            let _worker = worker;
            std::future::pending().await
        })
    }
}

impl Workers {
    /// How many were started and stopped so far.
    pub(crate) fn started_and_stopped(&self) -> (usize, usize) {
        (self.started.lock().unwrap().len(), self.stopped.load(Ordering::SeqCst))
    }
}
