//! Presets that front ends choose and edit.

use std::{collections::HashSet, fs, io, path::PathBuf};

use anyhow::{Context, Result, bail};
use checkpoint::Id;
use config::{Config, Family, edit};
use engine::Target;
use protocol::{Failure, Preset, PresetChange, PresetUse, Reply, Sizes};

use crate::{
    api::other,
    gate::gpu::compute_capabilities,
    inventory::Held,
    owners::Owners,
    planner::{DesiredEngines, Snapshot},
};

/// A change of the configuration's presets.
pub(super) enum PresetEdit {
    /// This one is new, or has other sizes.
    Set(Preset),
    /// The one of this name goes.
    Remove(String),
}

impl Owners {
    /// All presets, and what they are used for.
    pub(super) fn presets(&self) -> Vec<PresetUse> {
        uses(&self.snapshot())
    }

    /// Writes a change of presets into the configuration and applies it, or, as a `dry_run`, only says what it would
    /// bring.
    pub(super) fn edit_presets(
        &mut self,
        edit: &PresetEdit,
        dry_run: bool,
    ) -> Result<Reply, Failure> {
        self.try_edit(edit, dry_run)
            .map(Reply::PresetChange)
            .map_err(|error| other(&format!("{error:#}")))
    }

    fn try_edit(&mut self, edit: &PresetEdit, dry_run: bool) -> Result<PresetChange> {
        let file = self.settings_file.clone().context("there is no configuration to write")?;
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => config::TEMPLATE.to_owned(),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", file.display()));
            }
        };
        let edited = match edit {
            PresetEdit::Set(preset) => edit::with_preset(&text, &from(preset)),
            PresetEdit::Remove(name) => edit::without_preset(&text, name),
        };
        let edited = edited.with_context(|| file.display().to_string())?;
        // As the running configuration has them: variables and flags stay in effect.
        let written = config::load_text(&file, &edited, [])?.config;
        let new = Config { presets: written.presets, rules: written.rules, ..self.config.clone() };
        new.check()?;
        if new.presets == self.config.presets && matches!(edit, PresetEdit::Remove(_)) {
            bail!("no preset of your own has this name");
        }
        let change = self.change(&new);
        if !dry_run {
            config::replace(&file, &edited)?;
            self.reload()?;
            if self.config.presets != new.presets {
                bail!(
                    "{} was changed, but a variable such as SDTRT_PRESETS says otherwise, and comes first",
                    file.display()
                );
            }
        }
        Ok(change)
    }

    /// What a new configuration brings.
    fn change(&self, new: &Config) -> PresetChange {
        let now = self.snapshot();
        let held = now.catalogue.held();
        let mut desired = DesiredEngines::default();
        if let Ok(target) = now.target() {
            let capabilities = compute_capabilities(now.gpus);
            let target = Target::new(target.runtime.clone(), new, &capabilities);
            desired.record_target(Ok(target));
        }
        let then = Snapshot { config: new, desired: &desired, ..now.clone() };
        let is_there = |engine: &Id| now.library.manifests().contains_key(engine);
        let wanted: HashSet<Id> = then.desired_keys(&held);
        // What is to be built already is not this change's.
        let due = now.desired_keys(&held);
        let is_new = |engine: &&Id| !is_there(engine) && !due.contains(*engine);
        let engines = wanted.iter().filter(is_new).count();
        let built = self.store.history();
        let built: Vec<_> =
            built.iter().filter_map(|job| Some((job.bytes?, job.seconds))).collect();
        let each = |of: fn(&(u64, u64)) -> u64| {
            let sum: u64 = built.iter().map(of).sum();
            sum.checked_div(built.len() as u64).map(|mean| mean * engines as u64)
        };
        PresetChange {
            presets: uses(&then),
            engines,
            bytes: each(|(bytes, _)| *bytes),
            seconds: each(|(_, seconds)| *seconds),
        }
    }
}

fn uses(snapshot: &Snapshot<'_>) -> Vec<PresetUse> {
    let held = snapshot.catalogue.held();
    let families = [(Family::Sd, "sd"), (Family::Sdxl, "sdxl")];
    let all = families.into_iter().flat_map(|(family, name)| {
        let presets = snapshot.config.all_presets(family).into_iter();
        presets.map(move |(preset, builtin)| (family, name, preset, builtin))
    });
    let uses = all.map(|(family, family_name, preset, builtin)| {
        let is_for = |held: &&Held<'_>| {
            let kind = held.identity.architecture.kind;
            let names: Vec<PathBuf> = snapshot.names(held);
            let chosen = names.first().map_or_else(Vec::new, |path| {
                snapshot.config.presets_for(&kind.to_string(), family, path)
            });
            engine::family(kind) == family && chosen.iter().any(|chosen| chosen.name == preset.name)
        };
        let checkpoints = held.values().filter(is_for).count();
        PresetUse { preset: shown(&preset), builtin, family: family_name.to_owned(), checkpoints }
    });
    uses.collect()
}

fn shown(preset: &config::Preset) -> Preset {
    let config::Preset { name, width, height, batch, tokens, controlnet } = preset;
    let sizes = |range: &config::Range| Sizes { min: range.min, opt: range.opt, max: range.max };
    let [width, height, batch, tokens] = [width, height, batch, tokens].map(sizes);
    Preset { name: name.clone(), width, height, batch, tokens, controlnet: *controlnet }
}

fn from(preset: &Preset) -> config::Preset {
    let Preset { name, width, height, batch, tokens, controlnet } = preset;
    let range = |sizes: &Sizes| config::Range { min: sizes.min, opt: sizes.opt, max: sizes.max };
    let [width, height, batch, tokens] = [width, height, batch, tokens].map(range);
    config::Preset { name: name.clone(), width, height, batch, tokens, controlnet: *controlnet }
}
