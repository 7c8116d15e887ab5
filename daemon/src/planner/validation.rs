//! The engines to validate.

use std::collections::HashMap;

use checkpoint::Id;
use engine::{Manifest, Proof, Validation};

use super::{
    Cause, Errand, NoRuntime, Past, Place, Setback, Snapshot, Step, Takes, ValidationCause, Want,
    due, gpu_bytes, holdings::of, memory_bytes, snapshot::Rank,
};
use crate::{gate::Gpu, inventory::Held};

impl Snapshot<'_> {
    /// Returns the GPUs that this engine is to be validated on, one of each model, and why. A request for an
    /// engine that was wrong, or could not be compared, validates it again.
    pub(super) fn due_validations(&self, manifest: &Manifest) -> Vec<(&Gpu, ValidationCause)> {
        self.due_for(manifest, self.asked.contains(&manifest.key))
    }

    /// The same; with `doubted`, an engine that was not found to be accurate is validated again.
    pub(crate) fn due_for(
        &self,
        manifest: &Manifest,
        doubted: bool,
    ) -> Vec<(&Gpu, ValidationCause)> {
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
            let is_doubted = self.doubted.contains(&manifest.key);
            let validated = manifest.validations.iter().filter(|_| !is_doubted).filter(counts);
            let validated = validated.map(|Validation { gpu, driver, borrowed, .. }| Past {
                gpu,
                driver,
                borrowed: *borrowed,
            });
            let due = due(gpu, &manifest.spec.compute_capabilities, validated)?;
            let is_set_back = self.setbacks.contains_key(&validation_id(&manifest.key, gpu));
            (!is_set_back).then_some((gpu, due))
        };
        self.models().filter_map(due_on).collect()
    }

    /// Returns one GPU of each model.
    pub(super) fn models(&self) -> impl Iterator<Item = &Gpu> {
        let is_first = |(number, gpu): &(usize, &Gpu)| {
            !self.gpus.iter().take(*number).any(|other| other.name == gpu.name)
        };
        self.gpus.iter().enumerate().filter(is_first).map(|(_, gpu)| gpu)
    }

    /// Returns why a validation of this engine failed, and on which GPU.
    pub(crate) fn validation_failure(&self, engine: &Id) -> Option<(&Gpu, &str)> {
        self.models().find_map(|gpu| match self.setbacks.get(&validation_id(engine, gpu))? {
            Setback::Failed(why) => Some((gpu, why.as_str())),
            Setback::Removed => None,
        })
    }

    /// Returns the ids of every possible job for an engine.
    pub(crate) fn jobs_of(&self, engine: &Id) -> Vec<Id> {
        let validations = self.gpus.iter().map(|gpu| validation_id(engine, gpu));
        validations.chain([*engine]).collect()
    }

    /// Returns the due validations of engines for checkpoints in use, except those running: each once, with
    /// the checkpoint that decides its priority.
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

    fn validation(
        &self,
        manifest: &Manifest,
        gpu: &Gpu,
        due: &ValidationCause,
        held: &Held<'_>,
    ) -> Want {
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

    /// Whether the memory for the jobs in `queue` has become sufficient or insufficient.
    pub(crate) fn memory_changed(&self, queue: &[Want]) -> bool {
        queue.iter().any(|want| match &want.obstacle {
            Some(obstacle) if obstacle.is_lasting() || obstacle.is_trouble() => false,
            known => self.lacks(&want.job, &want.takes).is_some() != known.is_some(),
        })
    }
}

/// The id of a validation with the current driver.
fn validation_id(engine: &Id, gpu: &Gpu) -> Id {
    Id::from(blake3::hash(format!("{engine} {} {}", gpu.name, gpu.driver).as_bytes()))
}
