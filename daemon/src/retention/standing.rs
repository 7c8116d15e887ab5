use std::collections::{BTreeSet, HashMap, HashSet};

use checkpoint::Id;

/// A published engine, as far as keeping it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The engine's key.
    pub engine: Id,
    /// A baked engine's UNet id, or a shared engine's signature.
    pub weights: Id,
    /// The size of the plan in bytes.
    pub bytes: u64,
    /// When it was last built, taken up again or asked for, in seconds since 1970.
    pub last_used: u64,
    /// The user pinned it.
    pub pinned: bool,
    /// Since when no file has its UNet, in seconds through which the daemon has lived; absent as long as one has, or
    /// may have.
    pub orphaned_since: Option<u64>,
    /// The web UI may use it: it was validated if possible, and not found to be wrong.
    pub serves: bool,
    /// It can't be used any more, and the new engine for its architecture, if there is one.
    pub retired: Option<Option<Id>>,
}

/// The keys of engines that checkpoints should have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// Open engines: once they serve, outdated ones are removed.
    pub open: BTreeSet<Id>,
    /// Fixed engines.
    pub fixed: BTreeSet<Id>,
}

impl Keys {
    fn contain(&self, engine: &Id) -> bool {
        self.open.contains(engine) || self.fixed.contains(engine)
    }
}

/// The desired engines of checkpoints in use, by UNet id and signature. One without keys is in use too, but
/// its desired engines are unknown.
pub type WantedKeys = HashMap<Id, Keys>;

/// An engine's role for the checkpoints in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is a desired engine.
    Current,
    /// It is outdated, and serves until its replacement does.
    StandIn,
    /// It is outdated, and this replacement serves.
    Superseded(Id),
    /// No checkpoint in use has its UNet, since this time.
    Orphaned(u64),
    /// It can't be used, and has no replacement yet.
    Retired,
}

impl Standing {
    /// Whether a checkpoint in use would be left without an engine.
    pub fn is_last_good(self) -> bool {
        matches!(self, Self::Current | Self::StandIn)
    }
}

/// Returns every engine's standing, by its key.
pub fn standings(all: &[Stored], wanted: &WantedKeys) -> HashMap<Id, Standing> {
    let serving = all.iter().filter(|stored| stored.serves);
    let serving: HashSet<Id> = serving.map(|stored| stored.engine).collect();
    let in_use = |stored: &Stored, keys: &Keys| {
        if keys.contain(&stored.engine) {
            return Standing::Current;
        }
        let serves_instead =
            |other: &&Stored| other.weights == stored.weights && other.serves && !stored.serves;
        if let Some(other) = all.iter().find(serves_instead) {
            return Standing::Superseded(other.engine);
        }
        let complete = keys.open.iter().all(|key| serving.contains(key));
        let successor = keys.open.first().filter(|_| complete);
        successor.map_or(Standing::StandIn, |key| Standing::Superseded(*key))
    };
    let standing = |stored: &Stored| match (
        stored.retired,
        wanted.get(&stored.weights),
        stored.orphaned_since,
    ) {
        (Some(Some(successor)), ..) => Standing::Superseded(successor),
        (Some(None), Some(_), _) | (Some(None), _, None) => Standing::Retired,
        (None, Some(keys), _) => in_use(stored, keys),
        (_, None, Some(since)) => Standing::Orphaned(since),
        (None, None, None) => Standing::StandIn,
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
            retired: None,
        }
    }

    fn open(keys: &[u8]) -> Keys {
        Keys { open: keys.iter().map(|key| id(*key)).collect(), fixed: BTreeSet::new() }
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
            let wanted = wanted.map(|keys| (id(0), open(keys)));
            let found = standings(&all, &wanted.into_iter().collect());
            let expected = engines.iter().map(|(engine, _, standing)| (id(*engine), *standing));
            assert_eq!(found, expected.collect(), "{what}");
        }
    }

    #[test]
    fn a_successor_that_does_not_serve_yet_takes_no_place() {
        let wanted = [(id(0), open(&[3]))].into();
        let unvalidated = Stored { serves: false, ..stored(3, None) };
        let found = standings(&[stored(1, None), unvalidated], &wanted);
        assert_eq!(found, [(id(1), Standing::StandIn), (id(3), Standing::Current)].into());
        let wanted = [(id(0), open(&[4]))].into();
        let found = standings(&[stored(1, None), unvalidated], &wanted);
        let superseded = Standing::Superseded(id(1));
        assert_eq!(found, [(id(1), Standing::StandIn), (id(3), superseded)].into());
    }

    #[test]
    fn a_fixed_engine_is_waited_for_by_none_and_goes_with_its_shape() {
        let fixed = |keys: &[u8]| Keys { fixed: open(keys).open, ..open(&[1]) };
        let [first, second] = [stored(1, None), stored(2, None)];
        let standing = |wanted: Keys| {
            let wanted = [(id(0), wanted)].into();
            standings(&[first, second], &wanted)[&id(2)]
        };
        assert_eq!(standing(fixed(&[2, 3])), Standing::Current);
        assert_eq!(standing(fixed(&[3])), Standing::Superseded(id(1)));
        assert_eq!(standing(Keys { fixed: open(&[3]).open, ..open(&[4]) }), Standing::StandIn);
    }

    #[test]
    fn a_retired_engine_goes_once_a_new_one_of_its_architecture_is_there() {
        let wanted: WantedKeys = [(id(0), open(&[3]))].into();
        for (retired, orphaned_since, wanted, expected) in [
            (None, None, &wanted, Standing::Retired),
            (None, None, &WantedKeys::new(), Standing::Retired),
            (None, Some(7), &WantedKeys::new(), Standing::Orphaned(7)),
            (Some(id(9)), None, &wanted, Standing::Superseded(id(9))),
            (Some(id(9)), Some(7), &WantedKeys::new(), Standing::Superseded(id(9))),
        ] {
            let retired = Stored { retired: Some(retired), ..stored(1, orphaned_since) };
            assert_eq!(standings(&[retired], wanted)[&id(1)], expected, "{retired:?}");
        }
        assert!(!Standing::Retired.is_last_good());
    }

    #[test]
    fn other_unets_change_nothing() {
        let other = Stored { weights: id(9), ..stored(2, None) };
        let wanted = [(id(0), open(&[3])), (id(9), open(&[2]))].into();
        let found = standings(&[stored(1, None), other], &wanted);
        assert_eq!(found[&id(1)], Standing::StandIn);
        assert_eq!(found[&id(2)], Standing::Current);
    }
}
