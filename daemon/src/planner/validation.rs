//! Engines that are to be run on GPUs.

use std::collections::HashMap;

use checkpoint::Id;
use engine::{Manifest, Proof, Validation};

use super::{
    Cause, Due, Errand, NoRuntime, Place, Setback, Snapshot, Step, Takes, Want, due, gpu_bytes,
    holdings::of, memory_bytes, snapshot::Rank,
};
use crate::{gate::Gpu, inventory::Held};

impl Snapshot<'_> {
    /// The GPUs that this engine is to be validated on, one of each model, and why. Whoever asks for one that
    /// was found to be wrong, or could not be compared, wants to know whether that is still so.
    pub(super) fn due_validations(&self, manifest: &Manifest) -> Vec<(&Gpu, Due)> {
        self.due_for(manifest, self.asked.contains(&manifest.key))
    }

    /// As [`Self::due_validations`]; where it was not found to be right it is tried once more if that is
    /// `doubted`.
    pub(crate) fn due_for(&self, manifest: &Manifest, doubted: bool) -> Vec<(&Gpu, Due)> {
        let can_load = match self.target() {
            Ok(target) => target.runtime.version == manifest.spec.version,
            Err(problem) => *problem == NoRuntime::Sought,
        };
        if !can_load || manifest.is_retired() {
            return Vec::new();
        }
        let counts = |validation: &&Validation| {
            let is_right = validation.findings.proof.as_ref().is_ok_and(Proof::holds);
            is_right || !doubted
        };
        let due_on = |gpu| {
            let validated = manifest.validations.iter().filter(counts);
            let validated =
                validated.map(|validation| (validation.gpu.as_str(), validation.driver.as_str()));
            let due = due(gpu, &manifest.spec.compute_capabilities, validated)?;
            let is_set_back = self.setbacks.contains_key(&validation_id(&manifest.key, gpu));
            (!is_set_back).then_some((gpu, due))
        };
        self.models().filter_map(due_on).collect()
    }

    /// The GPUs that are here, one of each model.
    pub(super) fn models(&self) -> impl Iterator<Item = &Gpu> {
        let is_first = |(number, gpu): &(usize, &Gpu)| {
            !self.gpus.iter().take(*number).any(|other| other.name == gpu.name)
        };
        self.gpus.iter().enumerate().filter(is_first).map(|(_, gpu)| gpu)
    }

    /// Why a validation of this engine failed, and on which GPU.
    pub(crate) fn validation_failure(&self, engine: &Id) -> Option<(&Gpu, &str)> {
        self.models().find_map(|gpu| match self.setbacks.get(&validation_id(engine, gpu))? {
            Setback::Failed(why) => Some((gpu, why.as_str())),
            Setback::Removed => None,
        })
    }

    /// Everything that may be done with an engine, as setbacks know it.
    pub(crate) fn jobs_of(&self, engine: &Id) -> Vec<Id> {
        let validations = self.gpus.iter().map(|gpu| validation_id(engine, gpu));
        validations.chain([*engine]).collect()
    }

    /// The validations that are due of engines that run a checkpoint in use, those under way left out: each
    /// once, with the checkpoint that decides.
    pub(crate) fn validations(&self, held: &HashMap<Id, Held<'_>>) -> Vec<Want> {
        let mut due: HashMap<Id, Vec<&Manifest>> = HashMap::new();
        if self.target().is_ok() && !self.gpus.is_empty() {
            let engines = self.library.manifests().values();
            for manifest in engines.filter(|manifest| !self.due_validations(manifest).is_empty()) {
                due.entry(*manifest.spec.weights.id()).or_default().push(manifest);
            }
        }
        if due.is_empty() {
            return Vec::new();
        }
        let mut with: HashMap<Id, (Rank, &Manifest)> = HashMap::new();
        for held in held.values().filter(|held| !self.unfit.contains(&held.identity.ids.unet)) {
            let rank = self.rank(held);
            for manifest in of(&due, held.identity) {
                let known = with.entry(manifest.key).or_insert((rank, manifest));
                known.0 = known.0.max(rank);
            }
        }
        let wants = with.into_values().flat_map(|((.., weights), manifest)| {
            let held = held.get(&weights);
            let due = self.due_validations(manifest).into_iter();
            due.filter_map(move |(gpu, due)| Some(self.validation(manifest, gpu, &due, held?)))
        });
        wants.filter(|want| !self.is_under_way(&want.job)).collect()
    }

    fn validation(&self, manifest: &Manifest, gpu: &Gpu, due: &Due, held: &Held<'_>) -> Want {
        let job = validation_id(&manifest.key, gpu);
        let parameters = held.identity.unet_parameters;
        let takes = Takes {
            place: Place::Model(gpu.name.clone()),
            gpu_bytes: gpu_bytes(parameters),
            memory_bytes: memory_bytes(parameters),
            disk_bytes: 0,
        };
        let all = self.desired(held);
        let number = all.iter().position(|desired| desired.engine == manifest.key);
        Want {
            job,
            errand: Errand::Validate,
            engine: manifest.key,
            presets: manifest.presets.clone(),
            shape: manifest.shape(),
            step: number.map_or(Step::StandIn, |number| all[number].step()),
            number: number.unwrap_or_default(),
            weights: held.identity.ids.weights,
            unet: held.identity.ids.unet,
            newest_ns: held.newest_ns,
            why: Cause::Validation(due.clone()),
            obstacle: self.paused_by(&job).or_else(|| self.lacks(&job, &takes)),
            takes,
        }
    }

    /// Whether memory has become enough or too little for what is in `queue`.
    pub(crate) fn memory_changed(&self, queue: &[Want]) -> bool {
        queue.iter().any(|want| match &want.obstacle {
            Some(obstacle) if obstacle.is_lasting() || obstacle.is_trouble() => false,
            known => self.lacks(&want.job, &want.takes).is_some() != known.is_some(),
        })
    }
}

/// What tells a validation with the present driver from all other jobs.
fn validation_id(engine: &Id, gpu: &Gpu) -> Id {
    Id::from(blake3::hash(format!("{engine} {} {}", gpu.name, gpu.driver).as_bytes()))
}
