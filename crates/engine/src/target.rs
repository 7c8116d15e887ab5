use std::path::Path;

use checkpoint::{Identity, Kind};
use config::{ComputeCapability, Config, EngineKind, Preset, runtime::BUILDABLE};
use protocol::Shape;
use unet::Precision;

use crate::{
    EngineSpec, FLAVOUR, Profile, Runtime, Weights,
    profile::{family, takes_controlnets},
};

/// Turing, the oldest GPUs that TensorRT supports. Building for them costs the others speed: a call of SD 1.5
/// at 512×512 took 10.05 ms with Turing and 9.61 without (H200, TensorRT-RTX 1.6.1.120, `bench/shared.py`).
const TURING: ComputeCapability = ComputeCapability { major: 7, minor: 5 };

/// What follows a preset's name in that of its engine for ControlNets.
const CONTROLNET: &str = " (ControlNet)";

/// What engines on this machine are built with and for.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The TensorRT libraries.
    pub runtime: Runtime,
    /// The GPUs to build for, sorted; if empty, the build's own GPU.
    pub compute_capabilities: Vec<ComputeCapability>,
    config: Config,
}

/// An engine that a checkpoint should have.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// The engine.
    pub spec: EngineSpec,
    /// The presets of the engine's profiles, in order; empty if it serves only one shape.
    pub presets: Vec<String>,
    /// The only shape that it serves.
    pub shape: Option<Shape>,
}

/// What the configuration chooses for a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Choice {
    /// Whether its engines are shared or baked.
    pub kind: EngineKind,
    /// The presets to build for; empty if it gets no engines.
    pub presets: Vec<Preset>,
}

impl Target {
    /// Determines the GPUs to build for: the configured ones, or else all that TensorRT can build for by
    /// name, with Turing only if this machine has one. If one of this machine's `gpus` can't be named,
    /// engines are built on it, for it.
    pub fn new(runtime: Runtime, config: &Config, gpus: &[ComputeCapability]) -> Self {
        let mut compute_capabilities = config.compute_capabilities.clone();
        if compute_capabilities.is_empty() && gpus.iter().all(|gpu| BUILDABLE.contains(gpu)) {
            compute_capabilities.extend(BUILDABLE);
            if !gpus.contains(&TURING) {
                compute_capabilities.retain(|capability| *capability != TURING);
            }
        }
        compute_capabilities.sort_unstable();
        compute_capabilities.dedup();
        Self { runtime, compute_capabilities, config: config.clone() }
    }

    /// Returns the engines that a checkpoint at these paths should have, those for presets first; empty if
    /// rules exclude all of the paths. `shapes` get engines of their own.
    pub fn engines(&self, identity: &Identity, paths: &[&Path], shapes: &[Shape]) -> Vec<Wanted> {
        self.engines_of(identity, self.choice(identity.architecture.kind, paths), shapes)
    }

    /// What the configuration chooses for a checkpoint of this kind at these paths.
    pub fn choice(&self, kind: Kind, paths: &[&Path]) -> Choice {
        Choice { kind: self.kind(kind, paths), presets: self.presets(kind, paths) }
    }

    /// The same as [`Self::engines`], once the choice is made.
    pub fn engines_of(&self, identity: &Identity, choice: Choice, shapes: &[Shape]) -> Vec<Wanted> {
        let Choice { kind, presets } = choice;
        if presets.is_empty() {
            return Vec::new();
        }
        let shared =
            |profile| self.spec(Weights::Shared(identity.signature), identity, vec![profile]);
        let of_presets: Vec<Wanted> = match kind {
            EngineKind::Shared => presets
                .iter()
                .map(|preset| Wanted {
                    spec: shared(Profile::new(preset, &identity.architecture)),
                    presets: vec![preset.name.clone()],
                    shape: None,
                })
                .collect(),
            EngineKind::Baked => vec![self.with_weights(identity, &presets)],
        };
        // Beside a preset's engine: residuals cost time even where they are zero, and an engine without weights is small.
        let controlled = presets
            .iter()
            .filter(|preset| preset.controlnet && takes_controlnets(identity.architecture.kind));
        let controlled = controlled.map(|preset| Wanted {
            spec: EngineSpec {
                controlnet: true,
                ..shared(Profile::new(preset, &identity.architecture))
            },
            presets: vec![format!("{}{CONTROLNET}", preset.name)],
            shape: None,
        });
        let fixed = shapes.iter().map(|shape| Wanted {
            spec: shared(Profile::fixed(shape, &identity.architecture)),
            presets: Vec::new(),
            shape: Some(*shape),
        });
        of_presets.into_iter().chain(controlled).chain(fixed).collect()
    }

    /// A baked engine for this checkpoint's presets, or for the default ones.
    pub fn baked(&self, identity: &Identity, paths: &[&Path]) -> Wanted {
        let kind = identity.architecture.kind;
        let mut presets = self.presets(kind, paths);
        if presets.is_empty() {
            presets = Config::default().presets_for(&kind.to_string(), family(kind), Path::new(""));
        }
        self.with_weights(identity, &presets)
    }

    fn with_weights(&self, identity: &Identity, presets: &[Preset]) -> Wanted {
        let profile = |preset: &Preset| Profile::new(preset, &identity.architecture);
        let profiles = presets.iter().map(profile).collect();
        Wanted {
            spec: self.spec(Weights::Baked(identity.ids.unet), identity, profiles),
            presets: presets.iter().map(|preset| preset.name.clone()).collect(),
            shape: None,
        }
    }

    fn spec(&self, weights: Weights, identity: &Identity, profiles: Vec<Profile>) -> EngineSpec {
        EngineSpec {
            weights,
            architecture: identity.architecture.clone(),
            recipe: unet::RECIPE,
            flavour: FLAVOUR.to_owned(),
            version: self.runtime.version.clone(),
            compute_capabilities: self.compute_capabilities.clone(),
            precision: Precision::Fp16,
            profiles,
            controlnet: false,
        }
    }

    /// The engine kind: that of the first path with a matching rule, or the configured one.
    fn kind(&self, kind: Kind, paths: &[&Path]) -> EngineKind {
        let architecture = kind.to_string();
        let mut said =
            paths.iter().filter_map(|path| self.config.engine_kind_for(&architecture, path));
        said.next().or(self.config.engines).unwrap_or(EngineKind::Shared)
    }

    /// The presets of all paths, without repetitions.
    fn presets(&self, kind: Kind, paths: &[&Path]) -> Vec<Preset> {
        let architecture = kind.to_string();
        let mut presets: Vec<Preset> = Vec::new();
        for path in paths {
            for preset in self.config.presets_for(&architecture, family(kind), path) {
                if !presets.contains(&preset) {
                    presets.push(preset);
                }
            }
        }
        presets
    }
}

#[cfg(test)]
mod keys;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use checkpoint::Id;

    use super::*;
    use crate::samples::identity;

    fn target(toml: &str, gpus: &[ComputeCapability]) -> Target {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sdtrtd.toml");
        std::fs::write(&path, format!("models_dirs = ['/m']\n{toml}")).unwrap();
        let runtime = Runtime { libraries: None, version: "1.7.1.116".into() };
        let config = config::load(Some(&path), []).unwrap().config;
        Target::new(runtime, &config, gpus)
    }

    fn card(compute_capability: &str) -> ComputeCapability {
        compute_capability.parse().unwrap()
    }

    /// For each preset engine: whether it is shared, and its number of profiles.
    fn kinds(wanted: &[Wanted]) -> Vec<(bool, usize)> {
        let of_presets = wanted.iter().filter(|wanted| wanted.shape.is_none());
        let kind = |spec: &EngineSpec| matches!(spec.weights, Weights::Shared(_));
        of_presets.map(|wanted| (kind(&wanted.spec), wanted.spec.profiles.len())).collect()
    }

    #[test]
    fn engines_are_shared_unless_configured_otherwise() {
        let rule = "[[rules]]\nfolder = 'own'\npresets = ['default']\nengines =";
        let own = |kind: &str| format!("{rule} '{kind}'");
        let (shared, baked) = (&[(true, 1), (true, 1)][..], &[(false, 2)][..]);
        let all_baked = "engines = 'baked'".to_owned();
        for (toml, paths, expected) in [
            (String::new(), &["/m/a"][..], shared),
            ("engines = 'shared'".to_owned(), &["/m/a"], shared),
            (all_baked.clone(), &["/m/a"], baked),
            (own("baked"), &["/m/a"], shared),
            (own("baked"), &["/m/own/a"], &[(false, 1)]),
            (own("baked"), &["/m/a", "/m/own/a"], baked),
            (all_baked + "\n" + &own("shared"), &["/m/own/a"], &[(true, 1)]),
            ("[[rules]]\npresets = []".to_owned(), &["/m/a"], &[]),
        ] {
            let paths: Vec<_> = paths.iter().map(Path::new).collect();
            for gpus in [&[][..], &[card("8.9")]] {
                let shape = Shape { width: 512, height: 512, batch: 2 };
                let wanted = target(&toml, gpus).engines(&identity("a"), &paths, &[shape]);
                assert_eq!(kinds(&wanted), expected, "{toml:?} {gpus:?} {paths:?}");
                let fixed = wanted.last().is_some_and(|wanted| wanted.shape == Some(shape));
                assert_eq!(fixed, !expected.is_empty(), "{toml:?}");
            }
        }
    }

    #[test]
    fn checkpoints_of_one_signature_share_engines_and_another_preset_changes_none() {
        let keys = |toml, gpus: &[ComputeCapability]| -> HashSet<Id> {
            let target = target(toml, gpus);
            let engines = |name| target.engines(&identity(name), &[Path::new("/m/a")], &[]);
            ["a", "b"].map(engines).into_iter().flatten().map(|wanted| wanted.spec.key()).collect()
        };
        let usual = keys("", &[]);
        assert_eq!((usual.len(), keys("engines = 'baked'", &[]).len()), (2, 2));
        assert_eq!(keys("", &[card("8.9")]), usual, "it does not depend on the GPU");
        let more = "[[rules]]\npresets = ['default', '512x512 | Batch Size 1 (Static)', 'dynamic']";
        let more = keys(more, &[]);
        assert!(more.len() == 3 && more.is_superset(&usual));
    }

    /// `default` with ControlNet, and a rule for it.
    const CONTROLLED: &str = "
        [[presets]]
        name = 'mine'
        width = { min = 512, opt = 512, max = 768 }
        height = { min = 512, opt = 512, max = 768 }
        batch = { min = 1, opt = 1, max = 4 }
        tokens = { min = 75, opt = 75, max = 150 }
        controlnet = true
        [[rules]]
        presets = ['default', 'mine']";

    #[test]
    fn a_preset_with_controlnet_has_a_second_engine_where_there_are_controlnets() {
        let shape = Shape { width: 512, height: 512, batch: 2 };
        let engines = |toml: &str, kind| {
            let mut identity = identity("a");
            identity.architecture.kind = kind;
            let wanted = target(toml, &[]).engines(&identity, &[Path::new("/m/a")], &[shape]);
            let names = wanted.iter().map(|wanted| wanted.presets.join(", ")).collect::<Vec<_>>();
            (names, wanted)
        };
        let both = ["default", "mine", "mine (ControlNet)", ""];
        for kind in [Kind::Sd1, Kind::Sd2Inpaint, Kind::SdxlInpaint] {
            let (names, wanted) = engines(CONTROLLED, kind);
            assert_eq!(names, both, "{kind}");
            let [_, plain, controlled, fixed] = &wanted[..] else { panic!("{kind}") };
            let spec = EngineSpec { controlnet: false, ..controlled.spec.clone() };
            assert_eq!((&spec, controlled.spec.controlnet), (&plain.spec, true));
            assert_ne!(controlled.spec.key(), plain.spec.key());
            assert!(!fixed.spec.controlnet);
        }
        let (names, wanted) = engines(&format!("engines = 'baked'{CONTROLLED}"), Kind::Sdxl);
        assert_eq!(names, ["default, mine", "mine (ControlNet)", ""]);
        assert!(matches!(wanted[1].spec.weights, Weights::Shared(_)));
        for kind in [Kind::SdxlRefiner, Kind::InstructPix2pix, Kind::Sd2Unclip] {
            assert_eq!(engines(CONTROLLED, kind).0, ["default", "mine", ""], "{kind}");
        }
        let (_, without) = engines(&CONTROLLED.replace("true", "false"), Kind::Sd1);
        let (_, with) = engines(CONTROLLED, Kind::Sd1);
        assert!(without.iter().all(|wanted| with.contains(wanted)), "the others stay as they are");
    }

    #[test]
    fn compute_capabilities_are_all_but_turing_unless_present_or_configured() {
        for (toml, gpus, expected) in [
            ("", &[][..], "8.0 8.6 8.9 12.0 12.1"),
            ("", &["8.6"], "8.0 8.6 8.9 12.0 12.1"),
            ("", &["7.5"], "7.5 8.0 8.6 8.9 12.0 12.1"),
            ("", &["12.0", "7.5"], "7.5 8.0 8.6 8.9 12.0 12.1"),
            ("", &["8.6", "9.0"], ""),
            ("compute_capabilities = ['12.0', '8.9', '12.0']", &[], "8.9 12.0"),
            ("compute_capabilities = ['8.9']", &["9.0"], "8.9"),
        ] {
            let gpus: Vec<_> = gpus.iter().map(|capability| card(capability)).collect();
            let found = target(toml, &gpus).compute_capabilities;
            let found: Vec<_> = found.iter().map(ToString::to_string).collect();
            assert_eq!(found.join(" "), expected, "{toml} {gpus:?}");
        }
    }
}
