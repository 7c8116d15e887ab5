//! The missing engines of checkpoints.

use std::collections::{BTreeSet, HashMap};

use checkpoint::Id;
use engine::{Manifest, Weights, difference};

use super::{
    Cause, Desired, Errand, Obstacle, Snapshot, Want,
    holdings::{of, takes},
    snapshot::Rank,
};
use crate::{
    inventory::{Held, Identity},
    retention::Holdings,
};

impl Snapshot<'_> {
    /// Returns each missing engine once, with the checkpoint that decides its priority.
    pub(crate) fn missing<'a>(
        &'a self,
        held: &'a HashMap<Id, Held<'_>>,
    ) -> impl Iterator<Item = Want> + 'a {
        let mut missing: HashMap<Id, (Rank, usize)> = HashMap::new();
        for held in held.values() {
            let rank = self.rank(held);
            for (number, desired) in self.desired(held).iter().enumerate() {
                let engine = desired.engine;
                let is_known = missing.get(&engine).is_some_and(|(known, _)| *known >= rank);
                if !is_known && self.is_missing(&engine) {
                    missing.insert(engine, (rank, number));
                }
            }
        }
        let (engines, holdings) = (self.engines(), self.holdings());
        missing.into_values().filter_map(move |((.., weights), number)| {
            self.build(held.get(&weights)?, number, &engines, &holdings)
        })
    }

    fn is_missing(&self, engine: &Id) -> bool {
        !self.library.manifests().contains_key(engine)
            && !self.setbacks.contains_key(engine)
            && !self.is_under_way(engine)
    }

    /// Returns the build of this checkpoint's desired engine with this number.
    fn build(
        &self,
        held: &Held<'_>,
        number: usize,
        engines: &HashMap<Id, Vec<&Manifest>>,
        holdings: &Holdings,
    ) -> Option<Want> {
        let all = self.desired(held);
        let desired = all.get(number)?;
        let takes = takes(held.identity, &desired.wanted.spec.weights);
        Some(Want {
            job: desired.engine,
            errand: Errand::Build,
            engine: desired.engine,
            presets: desired.wanted.presets.clone(),
            shape: desired.wanted.shape,
            step: desired.step(),
            number,
            weights: held.identity.ids.weights,
            unet: held.identity.ids.unet,
            newest_ns: held.newest_ns,
            why: self.why(&all, desired, &of(engines, held.identity)),
            obstacle: self.obstacle(holdings, held.identity, desired),
            takes,
        })
    }

    /// Returns why this engine is to be built. `all` are its checkpoint's desired engines, and `engines`
    /// those that exist.
    fn why(&self, all: &[Desired], desired: &Desired, engines: &[&Manifest]) -> Cause {
        if self.asked.contains(&desired.engine) {
            return Cause::Requested;
        }
        let current: BTreeSet<Id> = all.iter().map(|desired| desired.engine).collect();
        let is_before = |manifest: &&&Manifest| {
            !current.contains(&manifest.key)
                && desired.is_for(&manifest.presets, &manifest.spec.profiles)
        };
        let before = engines.iter().filter(is_before).max_by_key(|manifest| manifest.built_at);
        before.map_or_else(
            || Cause::Missing,
            |manifest| Cause::Outdated(difference(&manifest.spec, &desired.wanted.spec)),
        )
    }

    /// Returns why this checkpoint's engine can't be built for now, if so.
    fn obstacle(
        &self,
        holdings: &Holdings,
        identity: &Identity,
        desired: &Desired,
    ) -> Option<Obstacle> {
        let weights = &desired.wanted.spec.weights;
        if matches!(weights, Weights::Baked(unet) if unet.is_provisional()) {
            return Some(Obstacle::Unhashed);
        }
        let takes = takes(identity, weights);
        let room = || self.room_obstacle(holdings, identity, weights, takes.disk_bytes);
        let paused = self.paused_by(&desired.engine);
        paused.or_else(room).or_else(|| self.lacks(&desired.engine, &takes))
    }
}
