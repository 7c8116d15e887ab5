//! Finds the largest size at which an engine's output is still finite, trying inputs that have overflowed
//! fp16 before.

use anyhow::Result;
use engine::{Limit, PIXELS_PER_LATENT, Profile};

use super::inputs::{Array, Inputs, Pattern, inputs};

/// Sizes are tried in steps of this many latent positions: 64 pixels, as in presets.
const STEP: u64 = 8;

/// A latent's height and width.
pub(super) type Size = [u64; 2];

/// Runs an engine with one of its profiles.
pub(super) trait Run {
    /// Returns the engine's output, or `None` if the GPU has too little memory for a call of this size.
    fn run(&mut self, inputs: &Inputs) -> Result<Option<Array>>;
}

/// The sizes for which an engine may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// The profile's whole range.
    All,
    /// Sizes up to this limit.
    Until(Limit),
    /// None: the output is not finite even at the minimum size, with this input.
    Nothing(Pattern),
}

/// Tries a profile's minimum, optimum and maximum size. If one fails, searches between it and the last good
/// size.
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

/// Returns the latents' heights and widths, minimum first, without repetitions.
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

/// Returns the first input for which the output at this size has a NaN or an infinity. All inputs are tried
/// with the minimum batch, then all in one call with the largest batch that fits into memory: a batch's
/// images do not affect each other.
fn fault(profile: &Profile, size: Size, runner: &mut impl Run) -> Result<Option<Pattern>> {
    let Some(sample) = profile.inputs.get("sample") else { return Ok(None) };
    let (min, max) = (sample.min[0].max(1), sample.max[0]);
    for patterns in Pattern::ALL.chunks(usize::try_from(min)?) {
        let Some(found) = runner.run(&call(profile, min, size, patterns))? else {
            return Ok(None);
        };
        if let Some(row) = first_bad_row(&found) {
            return Ok(Some(patterns[row % patterns.len()]));
        }
    }
    let mut batch = max;
    while batch > min {
        if let Some(found) = runner.run(&call(profile, batch, size, &Pattern::ALL))? {
            let row = first_bad_row(&found);
            return Ok(row.map(|row| Pattern::ALL[row % Pattern::ALL.len()]));
        }
        batch = (batch / 2).max(min);
    }
    Ok(None)
}

/// The inputs of a call with the profile's optimum prompt length.
fn call(profile: &Profile, batch: u64, [height, width]: Size, rows: &[Pattern]) -> Inputs {
    inputs(profile, rows, |name, shapes| {
        let opt = shapes.opt.iter().skip(1).copied();
        match name {
            "sample" => vec![batch, shapes.opt[1], height, width],
            _ => std::iter::once(batch).chain(opt).collect(),
        }
    })
}

/// Finds the largest good size between a good one and a bad one by bisection.
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

/// The index of a call's first image that has a NaN or an infinity.
fn first_bad_row(found: &Array) -> Option<usize> {
    let rows = found.shape.first().copied().unwrap_or(1).max(1) as usize;
    let values = found.values.len().div_ceil(rows).max(1);
    found.values.chunks(values).position(|row| row.iter().any(|value| !value.is_finite()))
}

#[cfg(test)]
mod tests;
