use serde::{Deserialize, Serialize};

use crate::Error;

/// A dimension's minimum, optimum and maximum. In the configuration, a single number sets all three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct Range {
    /// Minimum.
    pub min: u64,
    /// The optimum, which kernels are chosen for.
    pub opt: u64,
    /// Maximum.
    pub max: u64,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a number, or { min = …, opt = …, max = … }")]
enum Written {
    One(u64),
    #[serde(rename_all = "lowercase")]
    Three {
        min: u64,
        opt: u64,
        max: u64,
    },
}

impl From<Written> for Range {
    fn from(written: Written) -> Self {
        match written {
            Written::One(value) => Self::new(value, value, value),
            Written::Three { min, opt, max } => Self::new(min, opt, max),
        }
    }
}

impl Range {
    pub(super) const fn new(min: u64, opt: u64, max: u64) -> Self {
        Self { min, opt, max }
    }

    /// Applies `of` to each value.
    pub fn map(self, of: impl Fn(u64) -> u64) -> Self {
        Self::new(of(self.min), of(self.opt), of(self.max))
    }

    /// Refuses values that are not multiples of `step`, larger than `most` or not in order. `key` is the
    /// range's name in the configuration.
    pub(super) fn check(&self, key: &str, step: u64, most: u64) -> Result<(), Error> {
        let named = [("min", self.min), ("opt", self.opt), ("max", self.max)];
        for (name, value) in named {
            if value == 0 || value % step != 0 || value > most {
                let wanted = match (step, nearest(value, step, most)) {
                    (1, nearest) => format!("expected 1 to {most}; {nearest} is the nearest"),
                    (_, nearest) => {
                        format!(
                            "expected a multiple of {step} up to {most}; {nearest} is the nearest"
                        )
                    }
                };
                return Err(Error::value(format!("{key}.{name}"), value, wanted));
            }
        }
        if self.min > self.opt || self.opt > self.max {
            let shown = format!("{} / {} / {}", self.min, self.opt, self.max);
            return Err(Error::value(key, shown, "expected min ≤ opt ≤ max"));
        }
        Ok(())
    }
}

/// Returns the multiple of `step` from `step` to `most` that is nearest to `value`; the larger of two.
fn nearest(value: u64, step: u64, most: u64) -> u64 {
    let below = value / step * step;
    let rounded =
        if value - below >= step.div_ceil(2) { below.saturating_add(step) } else { below };
    rounded.clamp(step, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_legal_value_is_named() {
        for (value, step, most, expected) in [
            (500, 64, 4096, 512),
            (543, 64, 4096, 512),
            (544, 64, 4096, 576),
            (0, 64, 4096, 64),
            (9999, 64, 4096, 4096),
            (77, 75, 750, 75),
            (120, 75, 750, 150),
            (u64::MAX, 64, 4096, 4096),
            (0, 1, 32, 1),
        ] {
            assert_eq!(nearest(value, step, most), expected, "{value} by {step}");
        }
    }
}
