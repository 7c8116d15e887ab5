//! Where an engine's results stop being numbers: every size at its edges, by inputs that have found faults.

use anyhow::Result;
use engine::{Limit, PIXELS_PER_LATENT, Profile};

use super::numbers::{Inputs, Numbers, Pattern, inputs};

/// Sizes are tried in steps of so many latents, 64 pixels, as presets have them.
const STEP: u64 = 8;

/// Height and width of a latent.
pub(super) type Size = [u64; 2];

/// Runs calls of one profile.
pub(super) trait Run {
    /// What the engine makes of these inputs; `None` where the GPU has no memory for a call of this size.
    fn run(&mut self, inputs: &Inputs) -> Result<Option<Numbers>>;
}

/// How far an engine may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// As far as its profile goes.
    All,
    /// Up to here.
    Until(Limit),
    /// Its least size was wrong already.
    Nothing(Pattern),
}

/// Tries a profile's least, usual and greatest size; where one fails, the sizes before it until the last good one
/// is found.
pub(super) fn reach(profile: &Profile, runner: &mut impl Run) -> Result<Reach> {
    let mut good: Option<Size> = None;
    for size in sizes(profile) {
        match fault(profile, size, runner)? {
            None => good = Some(size),
            Some(pattern) => {
                return Ok(match good {
                    None => Reach::Nothing(pattern),
                    Some(good) => Reach::Until(last_good(profile, good, size, pattern, runner)?),
                });
            }
        }
    }
    Ok(Reach::All)
}

/// Heights and widths of latents, from the least to the greatest, each once.
pub(super) fn sizes(profile: &Profile) -> Vec<Size> {
    let Some(sample) = profile.inputs.get("sample") else { return Vec::new() };
    let mut sizes = Vec::new();
    for shape in [&sample.min, &sample.opt, &sample.max] {
        if let [_, _, height, width] = shape[..] {
            sizes.push([height, width]);
        }
    }
    sizes.dedup();
    sizes
}

/// The first input for which a size gives NaN or infinity. With the least batch each input has calls of its own;
/// with the greatest that there is memory for they share one, as no image of a call sees another.
fn fault(profile: &Profile, size: Size, runner: &mut impl Run) -> Result<Option<Pattern>> {
    let Some(sample) = profile.inputs.get("sample") else { return Ok(None) };
    let (least, greatest) = (sample.min[0].max(1), sample.max[0]);
    for patterns in Pattern::ALL.chunks(usize::try_from(least)?) {
        let Some(found) = runner.run(&call(profile, least, size, patterns))? else {
            return Ok(None);
        };
        if let Some(row) = first_bad_row(&found) {
            return Ok(Some(patterns[row % patterns.len()]));
        }
    }
    let mut batch = greatest;
    while batch > least {
        if let Some(found) = runner.run(&call(profile, batch, size, &Pattern::ALL))? {
            let row = first_bad_row(&found);
            return Ok(row.map(|row| Pattern::ALL[row % Pattern::ALL.len()]));
        }
        batch = (batch / 2).max(least);
    }
    Ok(None)
}

/// A call of a profile with its usual text.
fn call(profile: &Profile, batch: u64, [height, width]: Size, rows: &[Pattern]) -> Inputs {
    inputs(profile, rows, |name, shapes| {
        let usual = shapes.opt.iter().skip(1).copied();
        match name {
            "sample" => vec![batch, shapes.opt[1], height, width],
            _ => std::iter::once(batch).chain(usual).collect(),
        }
    })
}

/// The greatest size between one that was good and one that was not, found by halving.
fn last_good(
    profile: &Profile,
    good: Size,
    bad: Size,
    mut pattern: Pattern,
    runner: &mut impl Run,
) -> Result<Limit> {
    let [height, width] = [0, 1].map(|index: usize| bad[index].saturating_sub(good[index]));
    let steps = height.max(width).div_ceil(STEP).max(1);
    let between = |step: u64| {
        let along = |from: u64, way: u64| (from + way * step / steps) / STEP * STEP;
        [along(good[0], height).max(good[0]), along(good[1], width).max(good[1])]
    };
    let (mut low, mut high) = (0, steps);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        match fault(profile, between(middle), runner)? {
            None => low = middle,
            Some(found) => (high, pattern) = (middle, found),
        }
    }
    let [height, width] = between(low);
    let pixels = height * width * PIXELS_PER_LATENT * PIXELS_PER_LATENT;
    Ok(Limit { pixels, input: pattern.to_string() })
}

/// The first image of a call's results that is not all numbers.
fn first_bad_row(found: &Numbers) -> Option<usize> {
    let rows = found.shape.first().copied().unwrap_or(1).max(1) as usize;
    let values = found.values.len().div_ceil(rows).max(1);
    found.values.chunks(values).position(|row| row.iter().any(|value| !value.is_finite()))
}

#[cfg(test)]
mod tests;
