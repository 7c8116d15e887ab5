use protocol::{Checkpoint, EntryKey, Failure, Reply, State};
use tokio::{
    sync::oneshot,
    time::{Duration, Instant},
};

use super::reference::resolve;

/// What the first look at the folders may take beyond the client's time: `--timeout 0` asks how things are now, and
/// only a look tells.
const LOOK: Duration = Duration::from_secs(5);

/// A client that waits until nothing is left to do.
pub(crate) struct Waiter {
    reference: Option<String>,
    timeout: Duration,
    started: Instant,
    /// The scan that must be complete first: the client may know of a file that has caused no event yet.
    scan: u64,
    /// Whether that scan is complete.
    has_looked: bool,
    /// The entry that it waits for, once that has appeared.
    seen: Option<EntryKey>,
    reply: oneshot::Sender<Reply>,
}

impl Waiter {
    pub(crate) fn new(
        reference: Option<String>,
        timeout: Duration,
        scan: u64,
        seen: Option<EntryKey>,
        reply: oneshot::Sender<Reply>,
    ) -> Self {
        let started = Instant::now();
        Self { reference, timeout, started, scan, has_looked: false, seen, reply }
    }

    /// When its time is up; [later](LOOK) while the folders have not been looked at.
    pub(crate) fn deadline(&self) -> Instant {
        self.started + if self.has_looked { self.timeout } else { self.timeout.max(LOOK) }
    }

    /// Replies if there is something to say; otherwise the client goes on waiting. While TensorRT is
    /// `sought`, the desired engines are unknown. `stuck` says why nothing in the queue will be built.
    pub(crate) fn serve(
        mut self,
        checkpoints: &[&Checkpoint],
        scans: u64,
        sought: bool,
        stuck: Option<&str>,
        now: Instant,
    ) -> Option<Self> {
        if self.reply.is_closed() {
            return None;
        }
        if let Some(lost) = self.lost(checkpoints) {
            let _ = self.reply.send(Reply::Failed(Failure::Other { message: lost }));
            return None;
        }
        self.has_looked = scans >= self.scan;
        let unfinished = if !self.has_looked {
            Unfinished { state: None, what: "the folders were still being scanned".to_owned() }
        } else if sought {
            Unfinished { state: None, what: "TensorRT was still being looked for".to_owned() }
        } else {
            match outcome(self.reference.as_deref(), checkpoints) {
                Ok(reply) => {
                    let _ = self.reply.send(reply);
                    return None;
                }
                Err(unfinished) => unfinished,
            }
        };
        let failure = match stuck {
            Some(why) if unfinished.state == Some(State::Queued) => {
                Failure::Other { message: why.to_owned() }
            }
            _ if now >= self.deadline() => {
                Failure::TimedOut { seconds: self.timeout.as_secs_f64(), what: unfinished.what }
            }
            _ => return Some(self),
        };
        let _ = self.reply.send(Reply::Failed(failure));
        None
    }
}

impl Waiter {
    /// Returns why what it waits for will never end, if it was there and is gone.
    fn lost(&mut self, checkpoints: &[&Checkpoint]) -> Option<String> {
        let reference = self.reference.as_deref()?;
        match resolve(reference, checkpoints) {
            Ok(found) => {
                self.seen = Some(found.key());
                None
            }
            Err(Failure::NotFound { .. }) => {
                let seen = self.seen.as_ref()?;
                let elsewhere = checkpoints.iter().find(|checkpoint| checkpoint.key() == *seen);
                let elsewhere = elsewhere.and_then(|checkpoint| checkpoint.locations.first());
                Some(match elsewhere {
                    Some(path) => format!("'{reference}' was moved: it is {path} now"),
                    None => {
                        format!("'{reference}' was deleted, or moved out of the models folders")
                    }
                })
            }
            Err(_) => None,
        }
    }
}

/// Why a client goes on waiting.
#[derive(Debug, PartialEq)]
struct Unfinished {
    /// The state of what it waits for; absent if that has not appeared.
    state: Option<State>,
    what: String,
}

/// Returns the reply, if everything waited for is finished.
fn outcome(reference: Option<&str>, checkpoints: &[&Checkpoint]) -> Result<Reply, Unfinished> {
    let waited_for: Vec<&Checkpoint> = match reference {
        None => checkpoints.to_vec(),
        Some(reference) => match resolve(reference, checkpoints) {
            Ok(found) => vec![found],
            Err(Failure::NotFound { .. }) => {
                let what = format!("'{reference}' did not appear");
                return Err(Unfinished { state: None, what });
            }
            Err(failure) => return Ok(Reply::Failed(failure)),
        },
    };
    let at_work = |state| matches!(state, State::Settling | State::Identifying | State::Building);
    let unfinished = waited_for.iter().filter(|c| at_work(c.state) || c.state == State::Queued);
    // A job in progress says more than one that waits behind it.
    match unfinished.max_by_key(|c| at_work(c.state)) {
        Some(checkpoint) => {
            let path = checkpoint.locations.first().cloned();
            let place = path.unwrap_or_else(|| checkpoint.key().to_string());
            let why = checkpoint.reason.as_ref().map_or(String::new(), |why| format!(": {why}"));
            let what = format!("{} {place}{why}", checkpoint.state);
            Err(Unfinished { state: Some(checkpoint.state), what })
        }
        None => Ok(Reply::List(waited_for.into_iter().cloned().collect())),
    }
}

#[cfg(test)]
mod tests {
    use checkpoint::Id;

    use super::*;

    fn entry(path: &str, state: State) -> Checkpoint {
        Checkpoint {
            weights_id: None,
            unet_id: None,
            architecture: None,
            state,
            reason: None,
            remarks: Vec::new(),
            locations: vec![path.to_owned()],
            engines: Vec::new(),
            coming: Vec::new(),
        }
    }

    #[test]
    fn what_was_there_and_is_gone_is_not_waited_for() {
        let waiter = |reference: &str| {
            let (reply, answer) = oneshot::channel();
            let timeout = Duration::from_secs(600);
            (Waiter::new(Some(reference.to_owned()), timeout, 0, None, reply), answer)
        };
        let now = Instant::now();
        let building = |path| Checkpoint {
            weights_id: Some(Id::from([1; 32])),
            ..entry(path, State::Building)
        };
        let (before, moved) = (building("/m/a.ckpt"), building("/m/b.ckpt"));
        for (after, said) in [
            (vec![], "was deleted, or moved out of the models folders"),
            (vec![&moved], "'/m/a.ckpt' was moved: it is /m/b.ckpt now"),
        ] {
            let (waiter, mut answer) = waiter("/m/a.ckpt");
            // It may still appear.
            let waiter = waiter.serve(&[], 1, false, None, now).unwrap();
            let waiter = waiter.serve(&[&before], 1, false, None, now).unwrap();
            assert!(waiter.serve(&after, 1, false, None, now).is_none());
            let Ok(Reply::Failed(failure)) = answer.try_recv() else { panic!("{said}") };
            assert!(failure.to_string().contains(said), "{failure}");
        }
    }

    #[test]
    fn without_time_to_wait_the_folders_are_looked_at_all_the_same() {
        let now = Instant::now();
        for (state, is_answered) in [(State::Ready, true), (State::Building, false)] {
            let (reply, mut answer) = oneshot::channel();
            let waiter = Waiter::new(None, Duration::ZERO, 1, None, reply);
            let checkpoint = entry("/m/a.ckpt", state);
            let waiter = waiter.serve(&[&checkpoint], 0, false, None, now).unwrap();
            assert!(answer.try_recv().is_err(), "before the look");
            assert!(waiter.deadline() > now);
            assert!(waiter.serve(&[&checkpoint], 1, false, None, Instant::now()).is_none());
            let answered = matches!(answer.try_recv(), Ok(Reply::List(_)));
            assert_eq!(answered, is_answered, "{state}");
        }
    }

    #[test]
    fn waits_for_what_can_still_change() {
        let ready = entry("/m/ready", State::Ready);
        let busy = Some("waits until the CPU is idle".to_owned());
        let queued = Checkpoint { reason: busy, ..entry("/m/queued", State::Queued) };
        let building = entry("/m/building", State::Building);
        let rejected = entry("/m/rejected", State::Rejected);
        let list = |some: &[&Checkpoint]| {
            Ok(Reply::List(some.iter().map(|checkpoint| (*checkpoint).clone()).collect()))
        };
        let all = [&ready, &queued, &building, &rejected];
        let unfinished = |state, what: &str| Err(Unfinished { state, what: what.to_owned() });
        let building_first = unfinished(Some(State::Building), "building /m/building");
        let only_queued =
            unfinished(Some(State::Queued), "queued /m/queued: waits until the CPU is idle");
        let not_there = unfinished(None, "'later' did not appear");
        assert_eq!(outcome(None, &all), building_first);
        assert_eq!(outcome(None, &[&ready, &queued]), only_queued);
        assert_eq!(outcome(None, &[&ready, &rejected]), list(&[&ready, &rejected]));
        assert_eq!(outcome(None, &[]), list(&[]));
        assert_eq!(outcome(Some("ready"), &all), list(&[&ready]));
        assert_eq!(outcome(Some("/m/queued"), &all), only_queued);
        assert_eq!(outcome(Some("later"), &all), not_there);
    }
}
