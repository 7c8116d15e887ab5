//! Queries that may never return: a driver that hangs blocks its caller.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, SendError, Sender, channel},
    },
    thread,
    time::Duration,
};

use protocol::GpuReading;

use super::{Found, Gpu, Gpus, Problem};

/// How long a query may take. Without persistence, initializing a GPU takes seconds.
const LIMIT: Duration = Duration::from_secs(5);

/// Queries `G` on separate threads, one query at a time, each for a limited time. While one is unanswered no
/// other is made, and its late answer serves the next query.
pub struct Timed<G> {
    asked: Arc<G>,
    limit: Duration,
    under_way: Mutex<Option<UnderWay>>,
    /// An answer that came too late.
    late: Arc<Mutex<Option<Found>>>,
}

/// A query that was not answered in time.
struct UnderWay {
    /// Disconnects when the query returns.
    end: Receiver<Infallible>,
    /// Whether it has exceeded the limit.
    is_late: bool,
}

impl<G: Gpus> Timed<G> {
    /// Uses the default limit.
    pub fn new(asked: G) -> Self {
        Self::with_limit(asked, LIMIT)
    }

    fn with_limit(asked: G, limit: Duration) -> Self {
        Self { asked: Arc::new(asked), limit, under_way: Mutex::default(), late: Arc::default() }
    }

    /// Returns the answer, or `None` if it takes too long. `keep` stores a late answer, and `kept` returns
    /// it.
    fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&G) -> T + Send + 'static,
        keep: impl FnOnce(T) + Send + 'static,
        kept: impl FnOnce() -> Option<T>,
    ) -> Option<T> {
        let mut under_way = locked(&self.under_way);
        if let Some(before) = &mut *under_way {
            let limit = if before.is_late { Duration::ZERO } else { self.limit };
            if let Err(RecvTimeoutError::Timeout) = before.end.recv_timeout(limit) {
                before.is_late = true;
                return None;
            }
        }
        if let Some(kept) = kept() {
            return Some(kept);
        }
        let (answer, answered) = channel();
        let end = self.begin(move |asked| {
            if let Err(SendError(told)) = answer.send(question(asked)) {
                keep(told);
            }
        });
        let told = answered.recv_timeout(self.limit).ok();
        *under_way = end.filter(|_| told.is_none()).map(|end| UnderWay { end, is_late: true });
        told
    }

    /// Makes a query on a new thread; the returned channel disconnects when it ends.
    fn begin(&self, question: impl FnOnce(&G) + Send + 'static) -> Option<Receiver<Infallible>> {
        let (until, end): (Sender<Infallible>, _) = channel();
        let asked = self.asked.clone();
        let thread = thread::Builder::new().name("gpus".to_owned()).spawn(move || {
            question(&asked);
            drop(until);
        });
        thread.is_ok().then_some(end)
    }

    fn silent(&self) -> Problem {
        Problem::Silent(self.limit.as_secs())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<G: Gpus> Gpus for Timed<G> {
    fn list(&self) -> Found {
        let late = self.late.clone();
        let keep = move |found| *locked(&late) = Some(found);
        let found = self.ask(G::list, keep, || locked(&self.late).take());
        found.unwrap_or_else(|| Found { gpus: Vec::new(), problem: Some(self.silent()) })
    }

    fn may_differ(&self) -> bool {
        self.asked.may_differ()
    }

    fn read(&self, gpus: &[Gpu]) -> Result<Vec<GpuReading>, Problem> {
        if gpus.is_empty() {
            return Ok(Vec::new());
        }
        let gpus = gpus.to_vec();
        let read = self.ask(move |asked: &G| asked.read(&gpus), drop, || None);
        read.unwrap_or_else(|| Err(self.silent()))
    }

    fn rest(&self) {
        // A query being made at this moment releases afterwards, or is late and released with the next
        // answer.
        let Ok(mut under_way) = self.under_way.try_lock() else { return };
        if under_way.is_none() {
            let end = self.begin(G::rest);
            *under_way = end.map(|end| UnderWay { end, is_late: false });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    /// A driver whose first answer waits for the test.
    #[derive(Default)]
    struct Hung {
        met: Option<Arc<Barrier>>,
        asked: Arc<AtomicUsize>,
    }

    fn gpu(number: usize) -> Gpu {
        Gpu {
            uuid: format!("GPU-{number}"),
            name: "a GPU".to_owned(),
            compute_capability: "8.9".parse().unwrap(),
            driver: String::new(),
            pci: None,
        }
    }

    impl Gpus for Hung {
        fn list(&self) -> Found {
            let number = self.asked.fetch_add(1, Ordering::SeqCst);
            if let Some(met) = self.met.as_ref().filter(|_| number == 0) {
                met.wait();
            }
            Found { gpus: vec![gpu(number)], problem: None }
        }

        fn may_differ(&self) -> bool {
            false
        }

        fn read(&self, gpus: &[Gpu]) -> Result<Vec<GpuReading>, Problem> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            Ok(vec![GpuReading::default(); gpus.len()])
        }

        fn rest(&self) {}
    }

    #[test]
    fn a_driver_that_hangs_is_asked_no_more_until_it_answers() {
        let (met, asked) = (Arc::new(Barrier::new(2)), Arc::new(AtomicUsize::new(0)));
        let hung = Hung { met: Some(met.clone()), asked: asked.clone() };
        let timed = Timed::with_limit(hung, Duration::from_millis(1));
        let silent = Some(Problem::Silent(0));
        assert_eq!(timed.list(), Found { gpus: Vec::new(), problem: silent });
        for _ in 0..3 {
            assert_eq!(timed.read(&[gpu(0)]), Err(Problem::Silent(0)));
            timed.rest();
        }
        while asked.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);

        met.wait();
        let late = loop {
            let found = timed.list();
            if found.problem.is_none() {
                break found;
            }
        };
        assert_eq!(late.gpus, [gpu(0)], "the answer to the first question");
    }

    #[test]
    fn one_that_answers_is_asked_each_time() {
        let timed = Timed::with_limit(Hung::default(), Duration::from_secs(60));
        for number in 0..3 {
            assert_eq!(timed.list().gpus, [gpu(number)]);
            timed.rest();
        }
        assert_eq!(timed.read(&[gpu(0)]).unwrap().len(), 1);
        assert_eq!(timed.read(&[]), Ok(Vec::new()));
    }
}
