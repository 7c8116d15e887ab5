//! From a published engine to one that was seen to compute what it should on the GPUs here.

use std::collections::HashMap;

use anyhow::{Context, Result};
use checkpoint::Id;
use engine::{Findings, Manifest, Proof, Validation};
use tracing::{info, warn};

use crate::{
    build::{Done, Failure, RuntimeProblem},
    event_loop::Actor,
    gate::Gpu,
    inventory::Held,
    jobs::{RunningJob, history::Ended, running::MIXED_UP},
    planner::{
        Due, Errand, Obstacle, Place, Setback, Step, Takes, Want, due, gpu_bytes,
        holdings::of,
        memory_bytes,
        snapshot::{Rank, World},
    },
    retention::garbage::seconds_since_1970,
};

/// What was found of an engine's numbers.
pub(crate) struct Judgement<'a> {
    pub(crate) proof: &'a Proof,
    /// Where a validation found it; otherwise the web UI did.
    pub(crate) gpu: Option<&'a Gpu>,
}

impl World {
    /// The GPUs that this engine is to be validated on, one of each model, and why. Whoever asks for one that
    /// was found to be wrong, or could not be compared, wants to know whether that is still so.
    fn due_validations(&self, manifest: &Manifest) -> Vec<(&Gpu, Due)> {
        self.due_for(manifest, self.intent.asked().contains(&manifest.key))
    }

    /// As [`Self::due_validations`]; where it was not found to be right it is tried once more if that is
    /// `doubted`.
    pub(crate) fn due_for(&self, manifest: &Manifest, doubted: bool) -> Vec<(&Gpu, Due)> {
        let can_load = match &self.target {
            Ok(target) => target.runtime.version == manifest.spec.version,
            Err(problem) => *problem == RuntimeProblem::Sought,
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
            let is_set_back =
                self.retry.setbacks().contains_key(&validation_id(&manifest.key, gpu));
            (!is_set_back).then_some((gpu, due))
        };
        self.models().filter_map(due_on).collect()
    }

    /// The GPUs that are here, one of each model.
    fn models(&self) -> impl Iterator<Item = &Gpu> {
        let is_first = |(number, gpu): &(usize, &Gpu)| {
            !self.gpus.iter().take(*number).any(|other| other.name == gpu.name)
        };
        self.gpus.iter().enumerate().filter(is_first).map(|(_, gpu)| gpu)
    }

    /// Whether the engine's first validation on a GPU that is here is still to come. One of a former release
    /// was validated in a way that is not known any more, and serves on.
    pub(crate) fn is_unvalidated(&self, manifest: &Manifest) -> bool {
        let due = || self.due_validations(manifest).iter().any(|(_, due)| *due == Due::First);
        !manifest.is_former() && due()
    }

    /// Whether an engine may be used: it was validated wherever it could be, and was not wrong with the
    /// weights that it was validated with.
    pub(crate) fn may_serve(&self, manifest: &Manifest) -> bool {
        !manifest.is_retired()
            && !self.is_unvalidated(manifest)
            && self.validations_of(manifest).all(|judged| judged.proof.holds())
    }

    /// What the last validation on each GPU that is here found.
    fn validations_of<'a>(&'a self, manifest: &'a Manifest) -> impl Iterator<Item = Judgement<'a>> {
        self.found_on_models(manifest).filter_map(|(gpu, findings)| {
            let proof = findings.proof.as_ref().ok()?;
            Some(Judgement { proof, gpu: Some(gpu) })
        })
    }

    /// The same with all that it found.
    pub(crate) fn found_on_models<'a>(
        &'a self,
        manifest: &'a Manifest,
    ) -> impl Iterator<Item = (&'a Gpu, &'a Findings)> {
        self.models().filter_map(|gpu| {
            let here = manifest.validations.iter().filter(|validation| validation.gpu == gpu.name);
            let last = here.max_by_key(|validation| validation.driver == gpu.driver)?;
            Some((gpu, &last.findings))
        })
    }

    /// What counts of all that was found of an engine with the weights of `unet`: that it is wrong,
    /// or else what the web UI found.
    pub(crate) fn judgement<'a>(
        &'a self,
        manifest: &'a Manifest,
        unet: &Id,
    ) -> Option<Judgement<'a>> {
        let webui = self.proofs.get(&(manifest.key, *unet));
        let webui = webui.map(|proof| Judgement { proof, gpu: None });
        let mut all = webui.into_iter().chain(self.validations_of(manifest)).collect::<Vec<_>>();
        let counts = all.iter().position(|judged| !judged.proof.holds()).unwrap_or(0);
        (counts < all.len()).then(|| all.swap_remove(counts))
    }

    /// What counts of the validations of an engine: that it is wrong, or else the first.
    pub(crate) fn validated<'a>(&'a self, manifest: &'a Manifest) -> Option<Judgement<'a>> {
        let wrong = self.validations_of(manifest).find(|judged| !judged.proof.holds());
        wrong.or_else(|| self.validations_of(manifest).next())
    }

    /// Why a validation of this engine failed, and on which GPU.
    pub(crate) fn validation_failure(&self, engine: &Id) -> Option<(&Gpu, &str)> {
        self.models().find_map(|gpu| {
            match self.retry.setbacks().get(&validation_id(engine, gpu))? {
                Setback::Failed(why) => Some((gpu, why.as_str())),
                Setback::Removed => None,
            }
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
        if self.target.is_ok() && !self.gpus.is_empty() {
            let engines = self.library.manifests().values();
            for manifest in engines.filter(|manifest| !self.due_validations(manifest).is_empty()) {
                due.entry(*manifest.spec.weights.id()).or_default().push(manifest);
            }
        }
        if due.is_empty() {
            return Vec::new();
        }
        let mut with: HashMap<Id, (Rank, &Manifest)> = HashMap::new();
        for held in
            held.values().filter(|held| !self.retry.unfit().contains(&held.identity.ids.unet))
        {
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
            why: due.to_string(),
            obstacle: self.lacks(&job, &takes).map(Obstacle::Passing),
            takes,
        }
    }

    /// Whether memory has become enough or too little for what is in `queue`.
    pub(crate) fn memory_changed(&self, queue: &[Want]) -> bool {
        queue.iter().any(|want| match &want.obstacle {
            Some(Obstacle::Lasting(_)) => false,
            known => self.lacks(&want.job, &want.takes).is_some() != known.is_some(),
        })
    }
}

impl Actor {
    /// Takes in how a validation ended.
    pub(crate) fn validated(&mut self, running: &RunningJob, result: Result<Done, Failure>) {
        let want = &running.work.want;
        let failure = match result {
            Ok(Done::Validated(findings)) => {
                let kept = self.keep_validation(running, findings);
                if kept.is_ok() {
                    self.record_ended(running, Ended::Validated);
                }
                kept.err().map(|error| format!("{error:#}"))
            }
            Ok(_) => Some(MIXED_UP.to_owned()),
            Err(Failure::Unfit(reason)) if self.takes_another(running) => {
                warn!("{reason}; another checkpoint is taken to validate with");
                return self.refresh_soon();
            }
            Err(failure) => match self.final_reason(running, failure) {
                // Its turn comes again.
                None => return,
                failure => failure,
            },
        };
        if let Some(reason) = failure {
            warn!(engine = %want.engine.short(), "not validated: {reason}");
            self.record_ended(running, Ended::Failed(&reason));
            self.world.retry.record_failure(want.job, reason);
            self.learned();
        }
        self.serves(&want.engine);
    }

    /// Whether another checkpoint can be taken for a validation whose checkpoint has weights that engines don't
    /// take. Once none is left, what is known of them is forgotten: they are all tried once more if asked to.
    fn takes_another(&mut self, running: &RunningJob) -> bool {
        let spec = &running.job.spec;
        self.world.retry.record_unfit(running.work.want.unet);
        let unfit = self.world.retry.unfit();
        let is_left = |held: &Held<'_>| {
            spec.weights.fit(held.identity) && !unfit.contains(&held.identity.ids.unet)
        };
        let is_one_left = self.world.catalogue.held().values().any(is_left);
        if !is_one_left {
            self.world.retry.forget_unfit();
        }
        is_one_left
    }

    fn keep_validation(&mut self, running: &RunningJob, findings: Findings) -> Result<()> {
        let (engine, unet) = (running.work.want.engine, running.work.want.unet);
        let gpu = self.world.gpus.iter().find(|gpu| Some(&gpu.uuid) == running.job.gpu.as_ref());
        let gpu = gpu.context("the GPU is gone")?;
        match &findings.proof {
            Ok(proof) if proof.holds() => info!(engine = %engine.short(), ?proof, "engine proven"),
            Ok(proof) => warn!(engine = %engine.short(), ?proof, "the engine's numbers are wrong"),
            Err(why) => warn!(engine = %engine.short(), "engine not compared: {why}"),
        }
        let validation = Validation {
            gpu: gpu.name.clone(),
            driver: gpu.driver.clone(),
            unet,
            validated_at: seconds_since_1970(),
            findings,
        };
        self.world.retry.record_end(&running.work.want.job);
        self.world.library.add_validation(&engine, validation)
    }

    /// Has those that `engine` takes the place of go, and nobody wait for it any more, as far as it may
    /// be used now.
    pub(crate) fn serves(&mut self, engine: &Id) {
        let manifest = self.world.library.manifests().get(engine);
        let is_validated = |manifest| self.world.due_for(manifest, false).is_empty();
        if manifest.is_none_or(is_validated) {
            self.world.intent.record_served(engine);
        }
        self.world.news.serving = true;
    }
}

/// What tells a validation with the present driver from all other jobs.
fn validation_id(engine: &Id, gpu: &Gpu) -> Id {
    Id::from(blake3::hash(format!("{engine} {} {}", gpu.name, gpu.driver).as_bytes()))
}
