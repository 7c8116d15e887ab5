//! From a published engine to one that was seen to compute what it should on the GPUs here.

use std::collections::HashMap;

use anyhow::{Context, Result};
use checkpoint::Id;
use tracing::{info, warn};

use super::{
    actor::Actor,
    housekeeping::seconds_since_1970,
    jobs::{MIXED_UP, Running},
    keeping::of,
    past::Ended,
    world::World,
};
use crate::{
    build::{Done, Failure, Findings, Manifest, Proof, RuntimeProblem, Trial},
    gpu::Gpu,
    schedule::{Due, Errand, Held, Obstacle, Setback, Takes, Want, due, gpu_bytes, memory_bytes},
};

/// What was found of an engine's numbers.
pub(super) struct Judgement<'a> {
    pub(super) proof: &'a Proof,
    /// Where a trial found it; otherwise the web UI did.
    pub(super) gpu: Option<&'a Gpu>,
}

impl World {
    /// The GPUs that this engine is to be tried on, and why. Whoever asks for one that was found to be
    /// wrong, or could not be compared, wants to know whether that is still so.
    fn due_trials(&self, manifest: &Manifest) -> Vec<(&Gpu, Due)> {
        self.due_for(manifest, self.asked.contains(&manifest.key))
    }

    /// As [`Self::due_trials`]; where it was not found to be right it is tried once more if that is `doubted`.
    fn due_for(&self, manifest: &Manifest, doubted: bool) -> Vec<(&Gpu, Due)> {
        let can_load = match &self.target {
            Ok(target) => target.runtime.version == manifest.spec.version,
            Err(problem) => *problem == RuntimeProblem::Sought,
        };
        if !can_load {
            return Vec::new();
        }
        let counts = |trial: &&Trial| {
            let is_right = trial.findings.proof.as_ref().is_ok_and(Proof::holds);
            is_right || !doubted
        };
        let due_on = |gpu| {
            let tried = manifest.trials.iter().filter(counts);
            let tried = tried.map(|trial| (trial.gpu.as_str(), trial.driver.as_str()));
            let due = due(gpu, &manifest.spec.compute_capabilities, tried)?;
            let is_set_back = self.setbacks.contains_key(&trial_id(&manifest.key, gpu));
            (!is_set_back).then_some((gpu, due))
        };
        self.gpus.iter().filter_map(due_on).collect()
    }

    /// Whether the engine's first trial on a GPU that is here is still to come.
    pub(super) fn is_untried(&self, manifest: &Manifest) -> bool {
        self.due_trials(manifest).iter().any(|(_, due)| *due == Due::First)
    }

    /// Whether an engine may be used: it was tried wherever it could be, and was not wrong with the
    /// weights that it was tried with.
    pub(super) fn may_serve(&self, manifest: &Manifest) -> bool {
        !self.is_untried(manifest) && self.trials_of(manifest).all(|judged| judged.proof.holds())
    }

    /// What the last trial on each GPU that is here found.
    fn trials_of<'a>(&'a self, manifest: &'a Manifest) -> impl Iterator<Item = Judgement<'a>> {
        self.gpus.iter().filter_map(|gpu| {
            let here = manifest.trials.iter().filter(|trial| trial.gpu == gpu.uuid);
            let last = here.max_by_key(|trial| trial.driver == gpu.driver)?;
            let proof = last.findings.proof.as_ref().ok()?;
            Some(Judgement { proof, gpu: Some(gpu) })
        })
    }

    /// What counts of all that was found of an engine with the weights of `unet`: that it is wrong,
    /// or else what the web UI found.
    pub(super) fn judgement<'a>(
        &'a self,
        manifest: &'a Manifest,
        unet: &Id,
    ) -> Option<Judgement<'a>> {
        let webui = self.proofs.get(&(manifest.key, *unet));
        let webui = webui.map(|proof| Judgement { proof, gpu: None });
        let mut all = webui.into_iter().chain(self.trials_of(manifest)).collect::<Vec<_>>();
        let counts = all.iter().position(|judged| !judged.proof.holds()).unwrap_or(0);
        (counts < all.len()).then(|| all.swap_remove(counts))
    }

    /// Why a trial of this engine failed, and on which GPU.
    pub(super) fn trial_failure(&self, engine: &Id) -> Option<(&Gpu, &str)> {
        self.gpus.iter().find_map(|gpu| match self.setbacks.get(&trial_id(engine, gpu))? {
            Setback::Failed(why) => Some((gpu, why.as_str())),
            Setback::Removed => None,
        })
    }

    /// Everything that may be done with an engine, as setbacks know it.
    pub(super) fn jobs_of(&self, engine: &Id) -> Vec<Id> {
        let trials = self.gpus.iter().map(|gpu| trial_id(engine, gpu));
        trials.chain([*engine]).collect()
    }

    /// The trials that are due of engines that run a checkpoint in use, the one under way left out.
    pub(super) fn trials(&self, held: &HashMap<Id, Held<'_>>) -> Vec<Want> {
        let mut due: HashMap<Id, Vec<&Manifest>> = HashMap::new();
        if self.target.is_ok() && !self.gpus.is_empty() {
            let engines = self.library.manifests().values();
            for manifest in engines.filter(|manifest| !self.due_trials(manifest).is_empty()) {
                due.entry(*manifest.spec.weights.id()).or_default().push(manifest);
            }
        }
        if due.is_empty() {
            return Vec::new();
        }
        let mut wants = Vec::new();
        for held in held.values() {
            for manifest in of(&due, held.identity) {
                let trials = self.due_trials(manifest);
                let want = |(gpu, due): &(&Gpu, Due)| self.trial(manifest, gpu, due, held);
                wants.extend(trials.iter().map(want));
            }
        }
        wants.retain(|want| !self.is_under_way(&want.job));
        wants
    }

    fn trial(&self, manifest: &Manifest, gpu: &Gpu, due: &Due, held: &Held<'_>) -> Want {
        let job = trial_id(&manifest.key, gpu);
        let parameters = held.identity.unet_parameters;
        let takes = Takes {
            gpu: Some(gpu.uuid.clone()),
            gpu_bytes: gpu_bytes(parameters),
            memory_bytes: memory_bytes(parameters),
            disk_bytes: 0,
        };
        Want {
            job,
            errand: Errand::Try,
            engine: manifest.key,
            presets: manifest.presets.clone(),
            weights: held.identity.ids.weights,
            newest_ns: held.newest_ns,
            why: due.to_string(),
            obstacle: self.lacks(&job, &takes).map(Obstacle::Passing),
            takes,
        }
    }

    /// Whether memory has become enough or too little for what is in `queue`.
    pub(super) fn memory_changed(&self, queue: &[Want]) -> bool {
        queue.iter().any(|want| match &want.obstacle {
            Some(Obstacle::Lasting(_)) => false,
            known => self.lacks(&want.job, &want.takes).is_some() != known.is_some(),
        })
    }
}

impl Actor {
    /// Takes in how a trial ended.
    pub(super) fn tried(&mut self, running: &Running, result: Result<Done, Failure>) {
        let want = &running.want;
        let failure = match result {
            Ok(Done::Tried(findings)) => {
                let kept = self.keep_trial(running, findings);
                if kept.is_ok() {
                    self.record(running, Ended::Tried);
                }
                kept.err().map(|error| format!("{error:#}"))
            }
            Ok(_) => Some(MIXED_UP.to_owned()),
            Err(failure) => match self.final_reason(running, failure) {
                // Its turn comes again.
                None => return,
                failure => failure,
            },
        };
        if let Some(reason) = failure {
            warn!(engine = %want.engine.short(), "not tried: {reason}");
            self.record(running, Ended::Failed(&reason));
            self.world.set_back(want.job, Some(Setback::Failed(reason)));
            self.learned();
        }
        self.serves(&want.engine);
    }

    fn keep_trial(&mut self, running: &Running, findings: Findings) -> Result<()> {
        let engine = running.want.engine;
        let gpu = self.world.gpus.iter().find(|gpu| Some(&gpu.uuid) == running.job.gpu.as_ref());
        let gpu = gpu.context("the GPU is gone")?;
        let catalogue = self.world.catalogue.held();
        let held = catalogue.get(&running.want.weights).context("the checkpoint is gone")?;
        match &findings.proof {
            Ok(proof) if proof.holds() => info!(engine = %engine.short(), ?proof, "engine proven"),
            Ok(proof) => warn!(engine = %engine.short(), ?proof, "the engine's numbers are wrong"),
            Err(why) => warn!(engine = %engine.short(), "engine not compared: {why}"),
        }
        let trial = Trial {
            gpu: gpu.uuid.clone(),
            driver: gpu.driver.clone(),
            unet: held.identity.ids.unet,
            tried_at: seconds_since_1970(),
            findings,
        };
        self.world.deaths.remove(&running.want.job);
        self.world.ran_out.remove(&running.want.job);
        self.world.library.add_trial(&engine, trial)
    }

    /// Has those that `engine` takes the place of go, and nobody wait for it any more, as far as it may
    /// be used now.
    pub(super) fn serves(&mut self, engine: &Id) {
        let manifest = self.world.library.manifests().get(engine);
        let is_tried = |manifest| self.world.due_for(manifest, false).is_empty();
        if manifest.is_none_or(is_tried) {
            self.world.asked_no_more(engine);
        }
        self.remove_outdated();
    }
}

/// What tells a trial with the present driver from all other jobs.
fn trial_id(engine: &Id, gpu: &Gpu) -> Id {
    Id::from(blake3::hash(format!("{engine} {} {}", gpu.uuid, gpu.driver).as_bytes()))
}

#[cfg(test)]
mod tests;
