//! Which engine would generate an image.

use std::cmp::Reverse;

use checkpoint::Id;
use config::Prefer;
use engine::{EngineSpec, Manifest, Profile, Speed, Validation, call_shape, positions};
use protocol::{Coverage, Image, PassCoverage, Shape, Timing, Unusable};

use super::{reason::Gap, text};
use crate::{
    gate::Gpu,
    inventory::{Held, Identity},
    planner::Snapshot,
};

/// Returns how the passes over an image would be served for a checkpoint.
pub(crate) fn coverage(snapshot: &Snapshot<'_>, held: &Held<'_>, image: &Image) -> Coverage {
    let identity = held.identity;
    Coverage {
        weights_id: snapshot.key(&identity.ids.weights),
        architecture: identity.architecture.kind.to_string(),
        location: held.paths.first().map(|path| text(path)),
        passes: image.passes().map(|(name, pass)| served(snapshot, held, name, pass)).collect(),
    }
}

fn served(snapshot: &Snapshot<'_>, held: &Held<'_>, name: &str, pass: Image) -> PassCoverage {
    let Identity { architecture, .. } = held.identity;
    let mut coverage = PassCoverage {
        pass: name.to_owned(),
        width: pass.width,
        height: pass.height,
        batch: pass.batch,
        engine: None,
        profile: None,
        preset: None,
        fixed: false,
        milliseconds: None,
        single_milliseconds: None,
        torch_milliseconds: None,
        problem: None,
    };
    let fits_in = |spec: &EngineSpec, pass: &Image| {
        let fits = |profile: &Profile| profile.misfits(pass, architecture.kind).is_empty();
        spec.profiles.iter().position(fits)
    };
    let fits = |spec: &EngineSpec| fits_in(spec, &pass);
    let desired = snapshot.desired(held);
    let place = |engine| desired.iter().position(|desired| desired.engine == engine);
    let is_ours = |manifest: &&Manifest| {
        let fits = manifest.spec.weights.fit(held.identity);
        fits && !manifest.is_retired() && !manifest.spec.controlnet
    };
    let ours = || snapshot.library.manifests().values().filter(is_ours);
    let unet = held.identity.ids.unet;
    let call = Call { shape: call_shape(&pass, architecture.kind), tokens: positions(pass.tokens) };
    let mut beyond = None;
    let serving: Vec<_> = ours()
        .filter_map(|manifest| {
            let profile = fits(&manifest.spec)?;
            let why = snapshot.beyond(manifest, &unet, &call);
            let may = why.is_none();
            beyond = beyond.take().or(why);
            may.then_some((manifest, profile))
        })
        .collect();
    if pass.batch > 1 {
        let alone = Image { batch: 1, ..pass };
        let call = Call { shape: call_shape(&alone, architecture.kind), ..call };
        let able = ours().filter(|manifest| fits_in(&manifest.spec, &alone).is_some());
        let measured = able.filter_map(|manifest| snapshot.takes(manifest, &call));
        coverage.single_milliseconds = measured.min_by(f64::total_cmp);
    }
    // Front ends choose the fastest usable engine.
    let best = serving.into_iter().max_by_key(|(manifest, profile)| {
        let is_fixed = manifest.spec.profiles[*profile].is_fixed();
        let place = Reverse(place(manifest.key).unwrap_or(usize::MAX));
        (snapshot.may_serve(manifest), is_fixed, place, manifest.built_at)
    });
    if let Some((manifest, profile)) = best {
        coverage.engine = Some(manifest.key);
        coverage.preset = manifest.presets.get(profile).cloned();
        coverage.profile = Some(profile);
        coverage.fixed = manifest.spec.profiles[profile].is_fixed();
        let timing = snapshot.timing(manifest, &call);
        coverage.torch_milliseconds = timing.map(|timing| timing.torch_milliseconds);
        coverage.milliseconds = snapshot.takes(manifest, &call);
        return coverage;
    }
    if let Some(beyond) = beyond {
        coverage.problem = Some(beyond.to_string());
        return coverage;
    }
    if desired.is_empty() {
        let why = snapshot.target().as_ref().err().map_or(Gap::NotWanted, Gap::NoRuntime);
        coverage.problem = Some(why.to_string());
        return coverage;
    }
    let coming =
        desired.iter().map(|desired| &desired.wanted).filter(|wanted| !wanted.spec.controlnet);
    if let Some((wanted, profile)) =
        coming.clone().find_map(|wanted| Some((wanted, fits(&wanted.spec)?)))
    {
        coverage.preset = wanted.presets.get(profile).cloned();
        coverage.profile = Some(profile);
        coverage.fixed = wanted.spec.profiles[profile].is_fixed();
        coverage.problem = Some(Gap::Coming.to_string());
        return coverage;
    }
    let profiles = coming.flat_map(|wanted| wanted.presets.iter().zip(&wanted.spec.profiles));
    let misfits = profiles
        .map(|(preset, profile)| (preset.clone(), profile.misfits(&pass, architecture.kind)));
    coverage.problem = Some(Gap::Misfits(misfits.collect(), pass).to_string());
    coverage
}

/// A call of the UNet in a pass.
struct Call {
    shape: Shape,
    tokens: u64,
}

impl Snapshot<'_> {
    /// Returns why an engine is not used for a call on a GPU here, though its profile accepts it.
    fn beyond<'a>(&'a self, manifest: &'a Manifest, unet: &Id, call: &Call) -> Option<Gap<'a>> {
        let pixels = call.shape.width * call.shape.height;
        let mut limits = self
            .found_on_models(manifest)
            .filter_map(|(gpu, findings)| Some((gpu, findings.limit.as_ref()?)));
        if let Some((gpu, limit)) = limits.find(|(_, limit)| pixels > limit.pixels) {
            return Some(Gap::TooLarge(manifest.key, gpu, limit));
        }
        if self.config.prefer == Prefer::Fastest
            && let Some(timing) = self.timing(manifest, call).filter(|timing| timing.is_slower())
        {
            return Some(Gap::Slower(manifest.key, timing));
        }
        let seen = self.unusable.get(&(manifest.key, *unet))?;
        let is_here = |seen: &&Unusable| {
            let is_it = |gpu: &Gpu| gpu.name == seen.gpu && gpu.driver == seen.driver;
            self.gpus.iter().any(is_it) && pixels >= seen.width * seen.height
        };
        seen.iter().find(is_here).map(|seen| Gap::Unusable(manifest.key, seen))
    }

    /// Returns what a front end has last measured of such a call on a GPU here.
    fn timing(&self, manifest: &Manifest, call: &Call) -> Option<&Timing> {
        let is_here = |timing: &&Timing| {
            let is_it = |gpu: &Gpu| gpu.name == timing.gpu && gpu.driver == timing.driver;
            let Timing { width, height, batch, tokens, .. } = **timing;
            let shape = Shape { width, height, batch };
            self.gpus.iter().any(is_it) && (shape, tokens) == (call.shape, call.tokens)
        };
        self.timings.get(&manifest.key)?.iter().rev().find(is_here)
    }

    /// Returns how long a call takes on a GPU here: in a front end or, if that was not measured, in a validation.
    fn takes(&self, manifest: &Manifest, call: &Call) -> Option<f64> {
        let seen = self.timing(manifest, call).map(|timing| timing.engine_milliseconds);
        seen.or_else(|| self.milliseconds(manifest, &call.shape))
    }

    /// Returns the measured latency of a call of this shape on a GPU here.
    fn milliseconds(&self, manifest: &Manifest, shape: &Shape) -> Option<f64> {
        let is_it = |speed: &&Speed| {
            let Speed { width, height, batch, .. } = **speed;
            [width, height, batch].map(u64::from) == [shape.width, shape.height, shape.batch]
        };
        let here =
            |validation: &&Validation| self.gpus.iter().any(|gpu| gpu.name == validation.gpu);
        let newest = manifest.validations.iter().rev().find(here)?;
        newest.findings.speeds.iter().find(is_it).map(|speed| speed.milliseconds)
    }
}
