use std::path::Path;

use checkpoint::Kind;
use config::{ComputeCapability, Config, EngineKind, Preset, runtime::BUILDABLE};
use unet::Precision;

use super::{EngineSpec, FLAVOUR, Profile, Runtime, Weights, profile::family};
use crate::{gpu::Gpu, schedule::Identity};

/// What engines are built with and for on this machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The libraries.
    pub runtime: Runtime,
    /// The GPUs, sorted; empty for those that TensorRT chooses by itself.
    pub compute_capabilities: Vec<ComputeCapability>,
    /// Where weights are unless somebody says otherwise.
    usual: EngineKind,
    config: Config,
}

/// An engine that a checkpoint should have.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// The engine.
    pub spec: EngineSpec,
    /// Names of the presets, in the order of the engine's profiles.
    pub presets: Vec<String>,
}

impl Target {
    /// The GPUs that are configured, or those of this machine.
    pub fn new(runtime: Runtime, config: &Config, gpus: &[Gpu]) -> Self {
        let mut compute_capabilities = config.compute_capabilities.clone();
        if compute_capabilities.is_empty() {
            // One that TensorRT does not name may still run what it builds by default.
            let present = gpus.iter().map(|gpu| gpu.compute_capability);
            compute_capabilities.extend(present.filter(|found| BUILDABLE.contains(found)));
        }
        compute_capabilities.sort_unstable();
        compute_capabilities.dedup();
        // TensorRT takes a driver to build what can be refitted.
        let usual = if gpus.is_empty() { EngineKind::Baked } else { EngineKind::Shared };
        Self {
            runtime,
            compute_capabilities,
            usual: config.engines.unwrap_or(usual),
            config: config.clone(),
        }
    }

    /// The engine that a checkpoint which lies at these paths should have; `None` if rules want
    /// none for any of them. It is shared only if it `can_be`.
    pub fn engine(&self, identity: &Identity, paths: &[&Path], can_be: bool) -> Option<Wanted> {
        let presets = self.presets(identity.architecture.kind, paths);
        (!presets.is_empty()).then(|| Wanted {
            spec: EngineSpec {
                weights: match self.kind(identity.architecture.kind, paths) {
                    EngineKind::Shared if can_be => Weights::Shared(identity.signature),
                    _ => Weights::Baked(identity.ids.unet),
                },
                architecture: identity.architecture.clone(),
                recipe: unet::RECIPE,
                flavour: FLAVOUR.to_owned(),
                version: self.runtime.version.clone(),
                compute_capabilities: self.compute_capabilities.clone(),
                precision: Precision::Fp16,
                profiles: presets
                    .iter()
                    .map(|preset| Profile::new(preset, &identity.architecture))
                    .collect(),
            },
            presets: presets.into_iter().map(|preset| preset.name).collect(),
        })
    }

    /// What the first path that a rule says something of gives it, or what is usual here.
    fn kind(&self, kind: Kind, paths: &[&Path]) -> EngineKind {
        let architecture = kind.to_string();
        let mut said =
            paths.iter().filter_map(|path| self.config.engine_kind_for(&architecture, path));
        said.next().unwrap_or(self.usual)
    }

    /// What any of the paths gives it, each preset once.
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
mod tests {
    use std::collections::HashSet;

    use checkpoint::Id;

    use super::*;
    use crate::{samples, schedule::Outcome};

    fn target(toml: &str, gpus: &[Gpu]) -> Target {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sdtrtd.toml");
        std::fs::write(&path, format!("models_dirs = ['/m']\n{toml}")).unwrap();
        let runtime = Runtime { libraries: None, version: "1.7.1.116".into() };
        let config = config::load(Some(&path), []).unwrap().config;
        Target::new(runtime, &config, gpus)
    }

    fn identity(name: &str) -> Identity {
        match samples::identified(name) {
            Outcome::Identified(identity) => identity,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn engines_are_shared_where_that_is_wanted_and_can_be() {
        let rule = "[[rules]]\nfolder = 'own'\npresets = ['default']\nengines =";
        let own = |kind: &str| format!("{rule} '{kind}'");
        let all = "engines = 'shared'".to_owned();
        let card = [Gpu {
            uuid: "GPU-0".into(),
            name: "Card".into(),
            compute_capability: ComputeCapability { major: 8, minor: 9 },
            driver: String::new(),
        }];
        let (none, card) = (&[][..], &card[..]);
        for (toml, gpus, can_be, paths, shared) in [
            (String::new(), none, true, &["/m/a"][..], false),
            (String::new(), card, true, &["/m/a"], true),
            (String::new(), card, false, &["/m/a"], false),
            (all.clone(), none, true, &["/m/a"], true),
            (all.clone(), none, false, &["/m/a"], false),
            ("engines = 'baked'".to_owned(), card, true, &["/m/a"], false),
            (own("shared"), none, true, &["/m/a"], false),
            (own("shared"), none, true, &["/m/own/a"], true),
            (own("shared"), none, true, &["/m/a", "/m/own/a"], true),
            (own("baked"), card, true, &["/m/own/a"], false),
            (all + "\n" + &own("baked"), none, true, &["/m/own/a"], false),
        ] {
            let paths: Vec<_> = paths.iter().map(Path::new).collect();
            let wanted = target(&toml, gpus).engine(&identity("a"), &paths, can_be).unwrap();
            let is_shared = matches!(wanted.spec.weights, Weights::Shared(_));
            assert_eq!(is_shared, shared, "{toml:?} {gpus:?} {can_be} {paths:?}");
        }
    }

    #[test]
    fn checkpoints_of_one_architecture_share_one_engine() {
        let keys = |toml| -> HashSet<Id> {
            let target = target(toml, &[]);
            let key = |name| target.engine(&identity(name), &[Path::new("/m/a")], true);
            ["a", "b"].map(key).into_iter().flatten().map(|wanted| wanted.spec.key()).collect()
        };
        assert_eq!((keys("engines = 'shared'").len(), keys("").len()), (1, 2));
    }
}
