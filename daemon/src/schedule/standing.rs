use std::collections::{BTreeSet, HashMap, HashSet};

use checkpoint::Id;

/// A published engine, as far as keeping it goes. Times are seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The engine's key.
    pub engine: Id,
    /// The UNet inside or, of a shared engine, the signature that it fits.
    pub weights: Id,
    /// Size of the plan.
    pub bytes: u64,
    /// When it was last built, taken up again or asked for.
    pub last_used: u64,
    /// The user wants it kept whatever comes.
    pub pinned: bool,
    /// Since when no file has its UNet; absent as long as one has, or may have.
    pub orphaned_since: Option<u64>,
    /// The web UI may use it: it was tried where it could be, and not found to be wrong.
    pub serves: bool,
}

/// The keys of the engines that the checkpoints in use should have, by their UNets and signatures. One
/// without any is in use too, but what it should have is not known.
pub type WantedKeys = HashMap<Id, BTreeSet<Id>>;

/// What an engine is to the checkpoints in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// What one of them should have.
    Current,
    /// Outdated, and serves until its successor does.
    StandIn,
    /// Outdated, and this successor serves.
    Superseded(Id),
    /// None of them has its UNet, since this time.
    Orphaned(u64),
}

impl Standing {
    /// Whether a checkpoint in use would be left without its engine.
    pub fn is_last_good(self) -> bool {
        matches!(self, Self::Current | Self::StandIn)
    }
}

/// The standing of every engine, by its key.
pub fn standings(all: &[Stored], wanted: &WantedKeys) -> HashMap<Id, Standing> {
    let serving = all.iter().filter(|stored| stored.serves);
    let serving: HashSet<Id> = serving.map(|stored| stored.engine).collect();
    let standing = |stored: &Stored| match (wanted.get(&stored.weights), stored.orphaned_since) {
        (Some(keys), _) if keys.contains(&stored.engine) => Standing::Current,
        (Some(keys), _) => {
            let serves_instead =
                |other: &&Stored| other.weights == stored.weights && other.serves && !stored.serves;
            if let Some(other) = all.iter().find(serves_instead) {
                return Standing::Superseded(other.engine);
            }
            let complete = keys.iter().all(|key| serving.contains(key));
            let successor = keys.first().filter(|_| complete);
            successor.map_or(Standing::StandIn, |key| Standing::Superseded(*key))
        }
        (None, Some(since)) => Standing::Orphaned(since),
        (None, None) => Standing::StandIn,
    };
    all.iter().map(|stored| (stored.engine, standing(stored))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> Id {
        Id::from([number; 32])
    }

    fn stored(engine: u8, orphaned_since: Option<u64>) -> Stored {
        Stored {
            engine: id(engine),
            weights: id(0),
            bytes: 1,
            last_used: 0,
            pinned: false,
            orphaned_since,
            serves: true,
        }
    }

    #[test]
    fn what_each_engine_of_a_unet_is() {
        use Standing::{Current, Orphaned, StandIn, Superseded};
        type Row<'a> = (&'a str, Option<&'a [u8]>, &'a [(u8, Option<u64>, Standing)]);
        let table: [Row<'_>; 8] = [
            ("as it should be", Some(&[1]), &[(1, None, Current)]),
            ("its successor is to come", Some(&[3]), &[(1, None, StandIn), (2, None, StandIn)]),
            (
                "its successor is there",
                Some(&[3]),
                &[(1, None, Superseded(id(3))), (2, None, Superseded(id(3))), (3, None, Current)],
            ),
            (
                "one of two successors is there",
                Some(&[2, 3]),
                &[(1, None, StandIn), (3, None, Current)],
            ),
            (
                "both successors are there",
                Some(&[2, 3]),
                &[(1, None, Superseded(id(2))), (2, None, Current), (3, None, Current)],
            ),
            ("nobody knows what it should be", Some(&[]), &[(1, None, StandIn)]),
            ("no file has it", None, &[(1, Some(7), Orphaned(7)), (2, Some(8), Orphaned(8))]),
            ("a file may have it", None, &[(1, None, StandIn)]),
        ];
        for (what, wanted, engines) in table {
            let all: Vec<Stored> =
                engines.iter().map(|(engine, since, _)| stored(*engine, *since)).collect();
            let wanted = wanted.map(|keys| (id(0), keys.iter().map(|key| id(*key)).collect()));
            let found = standings(&all, &wanted.into_iter().collect());
            let expected = engines.iter().map(|(engine, _, standing)| (id(*engine), *standing));
            assert_eq!(found, expected.collect(), "{what}");
        }
    }

    #[test]
    fn a_successor_that_does_not_serve_yet_takes_no_place() {
        let wanted = [(id(0), [id(3)].into())].into();
        let untried = Stored { serves: false, ..stored(3, None) };
        let found = standings(&[stored(1, None), untried], &wanted);
        assert_eq!(found, [(id(1), Standing::StandIn), (id(3), Standing::Current)].into());
        let wanted = [(id(0), [id(4)].into())].into();
        let found = standings(&[stored(1, None), untried], &wanted);
        let superseded = Standing::Superseded(id(1));
        assert_eq!(found, [(id(1), Standing::StandIn), (id(3), superseded)].into());
    }

    #[test]
    fn other_unets_change_nothing() {
        let other = Stored { weights: id(9), ..stored(2, None) };
        let wanted = [(id(0), [id(3)].into()), (id(9), [id(2)].into())].into();
        let found = standings(&[stored(1, None), other], &wanted);
        assert_eq!(found[&id(1)], Standing::StandIn);
        assert_eq!(found[&id(2)], Standing::Current);
    }
}
