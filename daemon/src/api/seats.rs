//! Limits connections: no one can lock others out by idling, and no single process by connecting often.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

/// More clients than anyone has.
const ALL: usize = 512;

/// More connections than one program has.
const OF_ONE: usize = 256;

/// The process and user at the other end, according to the kernel.
pub(super) type Peer = (u32, Option<i32>);

/// A client's stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// It has not sent its hello.
    Silent,
    /// It waits for nothing.
    Idle,
    /// It waits for a reply, or has subscribed.
    Busy,
}

/// All occupied seats, the oldest first.
#[derive(Clone, Default)]
pub(super) struct Seats(Arc<Mutex<Taken>>);

#[derive(Default)]
struct Taken {
    next: u64,
    seats: BTreeMap<u64, Occupant>,
}

struct Occupant {
    peer: Peer,
    stage: Stage,
    leave: Arc<Notify>,
}

/// A client's seat, freed when dropped.
pub(super) struct Seat {
    seats: Seats,
    number: u64,
    leave: Arc<Notify>,
}

impl Seats {
    /// Takes a seat. If there is none left, another client loses its own.
    pub(super) fn take(&self, peer: Peer) -> Seat {
        let mut taken = self.lock();
        let known = taken.seats.iter().map(|(number, held)| (*number, held.peer, held.stage));
        if let Some(victim) = victim(&known.collect::<Vec<_>>(), peer, ALL, OF_ONE)
            && let Some(held) = taken.seats.remove(&victim)
        {
            held.leave.notify_one();
        }
        let (number, leave) = (taken.next, Arc::new(Notify::new()));
        taken.next += 1;
        taken.seats.insert(number, Occupant { peer, stage: Stage::Silent, leave: leave.clone() });
        Seat { seats: self.clone(), number, leave }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Records the client's stage.
    pub(super) fn set(&self, stage: Stage) {
        if let Some(held) = self.seats.lock().seats.get_mut(&self.number) {
            held.stage = stage;
        }
    }

    /// Returns once another client needs the seat more.
    pub(super) async fn lost(&self) {
        self.leave.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.lock().seats.remove(&self.number);
    }
}

/// Returns who must go for a newcomer, of `taken` seats by number, peer and stage: no one while there are
/// fewer than `all`, and fewer than `of_one` of its process. Otherwise the least busy client of the process
/// with the most seats, the oldest among equals.
fn victim(taken: &[(u64, Peer, Stage)], peer: Peer, all: usize, of_one: usize) -> Option<u64> {
    let mut counts: HashMap<Peer, usize> = HashMap::new();
    taken.iter().for_each(|(_, peer, _)| *counts.entry(*peer).or_default() += 1);
    let count = |peer: &Peer| counts.get(peer).copied().unwrap_or_default();
    let has_too_many = count(&peer) >= of_one;
    if !has_too_many && taken.len() < all {
        return None;
    }
    let may_go = taken.iter().filter(|(_, other, _)| !has_too_many || *other == peer);
    let goes = may_go.min_by_key(|(number, peer, stage)| (*stage, Reverse(count(peer)), *number));
    goes.map(|(number, ..)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_silent_go_first_and_of_them_those_of_whoever_has_most() {
        use Stage::{Busy, Idle, Silent};
        let [a, b, c] = [(0, Some(1)), (0, Some(2)), (0, Some(3))];
        type Row<'a> = (&'a str, &'a [(u64, Peer, Stage)], Peer, Option<u64>);
        let table: [Row<'_>; 8] = [
            ("room", &[(0, a, Silent), (1, a, Silent)], b, None),
            ("silent", &[(0, b, Busy), (1, a, Silent), (2, a, Silent), (3, c, Busy)], c, Some(1)),
            ("idle", &[(0, b, Busy), (1, a, Idle), (2, a, Idle), (3, c, Busy)], c, Some(1)),
            (
                "silent first",
                &[(0, a, Idle), (1, a, Idle), (2, b, Silent), (3, c, Idle)],
                c,
                Some(2),
            ),
            ("busy", &[(0, c, Busy), (1, a, Busy), (2, a, Busy), (3, b, Busy)], c, Some(1)),
            (
                "who has most",
                &[(0, b, Silent), (1, a, Silent), (2, a, Silent), (3, c, Idle)],
                c,
                Some(1),
            ),
            ("too many", &[(0, b, Silent), (1, a, Busy), (2, a, Idle), (3, a, Busy)], a, Some(2)),
            ("its own", &[(0, b, Silent), (1, a, Busy), (2, a, Busy), (3, a, Busy)], a, Some(1)),
        ];
        for (what, taken, newcomer, expected) in table {
            assert_eq!(victim(taken, newcomer, 4, 3), expected, "{what}");
        }
    }

    #[tokio::test]
    async fn who_has_said_nothing_makes_room_and_is_told() {
        let seats = Seats::default();
        let silent: Vec<_> = (0..ALL).map(|number| seats.take((0, Some(number as i32)))).collect();
        silent[0].set(Stage::Busy);
        let newcomer = seats.take((0, Some(-1)));
        silent[1].lost().await;
        newcomer.set(Stage::Idle);
        drop(silent);
        assert_eq!(seats.lock().seats.len(), 1);
    }
}
