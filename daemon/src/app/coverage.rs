//! Which engine would make an image.

use protocol::{Coverage, Image, PassCoverage};

use super::{view::text, world::World};
use crate::{
    build::{EngineSpec, Pass},
    schedule::{Held, Identity},
};

/// Sizes are multiples of this, as the preset's steps are.
const STEP: u64 = 64;

/// How the passes over an image would be served for a checkpoint.
pub(super) fn coverage(world: &World, held: &Held<'_>, image: &Image) -> Coverage {
    let identity = held.identity;
    Coverage {
        weights_id: identity.ids.weights.to_string(),
        architecture: identity.architecture.kind.to_string(),
        location: held.paths.first().map(|path| text(path)),
        passes: passes(image).map(|(name, pass)| served(world, held, name, pass)).collect(),
    }
}

/// The base pass and, with the hires fix, that over the enlarged image.
fn passes(image: &Image) -> impl Iterator<Item = (&'static str, Pass)> {
    let Image { width, height, batch, tokens, hires } = *image;
    // A1111 cuts what scaling leaves of a pixel.
    let scaled = |pixels: u64, factor: f64| (pixels as f64 * factor) as u64;
    let base = Pass { width, height, batch, tokens };
    let second = hires.map(|factor| {
        let (width, height) = (scaled(width, factor), scaled(height, factor));
        ("hires", Pass { width, height, batch, tokens })
    });
    std::iter::once(("base", base)).chain(second)
}

fn served(world: &World, held: &Held<'_>, name: &str, pass: Pass) -> PassCoverage {
    let Identity { architecture, .. } = held.identity;
    let mut coverage = PassCoverage {
        pass: name.to_owned(),
        width: pass.width,
        height: pass.height,
        engine: None,
        profile: None,
        preset: None,
        problem: None,
    };
    let fits = |spec: &EngineSpec| {
        spec.profiles
            .iter()
            .position(|profile| profile.misfits(&pass, architecture.kind).is_empty())
    };
    let engines = world.library.manifests().values();
    let mut ours = engines.filter(|manifest| manifest.spec.weights.fit(held.identity));
    if let Some((manifest, profile)) = ours.find_map(|m| Some((m, fits(&m.spec)?))) {
        coverage.engine = Some(manifest.key.to_string());
        coverage.preset = manifest.presets.get(profile).cloned();
        coverage.profile = Some(profile);
        return coverage;
    }
    let wanting = world.wanted(held);
    let Some(wanted) = wanting.as_ref().map(|wanting| &wanting.wanted) else {
        let why = world.target.as_ref().err().map(ToString::to_string);
        let off = || "a rule of the configuration wants no engine for it".to_owned();
        coverage.problem = Some(why.unwrap_or_else(off));
        return coverage;
    };
    if let Some(profile) = fits(&wanted.spec) {
        coverage.preset = wanted.presets.get(profile).cloned();
        coverage.profile = Some(profile);
        coverage.problem = Some("once its engine is built".to_owned());
        return coverage;
    }
    let misfits = wanted.presets.iter().zip(&wanted.spec.profiles).map(|(preset, profile)| {
        format!("{preset}: {}", profile.misfits(&pass, architecture.kind).join(", "))
    });
    let misfits: Vec<_> = misfits.collect();
    coverage.problem = Some(format!("{}. {}", misfits.join("; "), advice(&pass)));
    coverage
}

/// The preset that would do.
fn advice(pass: &Pass) -> String {
    let up = |value: u64, step| value.div_ceil(step) * step;
    format!(
        "A preset that reaches width {}, height {}, batch {} and {} tokens would do, with a rule \
         that gives it to this checkpoint",
        up(pass.width, STEP),
        up(pass.height, STEP),
        pass.batch,
        up(pass.tokens, 75)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hires_fix_is_a_second_pass() {
        let image = Image { width: 520, height: 768, batch: 2, tokens: 75, hires: Some(1.55) };
        let found: Vec<_> =
            passes(&image).map(|(name, pass)| (name, pass.width, pass.height)).collect();
        assert_eq!(found, [("base", 520, 768), ("hires", 806, 1190)]);
        assert_eq!(passes(&Image { hires: None, ..image }).count(), 1);
    }
}
