//! Values that need parsing.

use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use unet::Precision;

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) width: u64,
    pub(crate) height: u64,
}

impl FromStr for Size {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The latent is an eighth of the image.
        let side = |text: &str| {
            text.parse().ok().filter(|side| side % 8 == 0 && (8..=65_536).contains(side))
        };
        let sides =
            text.split_once(['x', 'X', '×']).map(|(width, height)| (side(width), side(height)));
        match sides {
            Some((Some(width), Some(height))) => Ok(Self { width, height }),
            _ => Err("expected WIDTHxHEIGHT, both multiples of 8, such as 768x1152"),
        }
    }
}

/// By name, so that help and usage errors list both.
pub(super) fn precision() -> impl TypedValueParser<Value = Precision> {
    PossibleValuesParser::new(["fp16", "fp32"]).try_map(|name| name.parse())
}

pub(super) fn factor(text: &str) -> Result<f64, &'static str> {
    let factor = text.parse().ok().filter(|factor| (1.0..=16.0).contains(factor));
    factor.ok_or("expected a factor from 1 to 16")
}

pub(super) fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds".to_owned())?;
    // Well within the range of timers; no one needs more than a year.
    if (0.0..=31_536_000.0).contains(&seconds) {
        Ok(seconds)
    } else {
        Err("expected 0 to 31536000 seconds".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_multiples_of_8() {
        let size = |width, height| Some(Size { width, height });
        for (text, expected) in [
            ("768x1152", size(768, 1152)),
            ("520X8", size(520, 8)),
            ("64×64", size(64, 64)),
            ("768", None),
            ("768x", None),
            ("768x1150", None),
            ("0x64", None),
            ("-64x64", None),
        ] {
            assert_eq!(text.parse::<Size>().ok(), expected, "{text}");
        }
    }

    #[test]
    fn times_are_seconds_that_a_timer_holds() {
        for (text, expected) in [
            ("0", Some(0.0)),
            ("0.25", Some(0.25)),
            ("3600", Some(3600.0)),
            ("-1", None),
            ("nan", None),
            ("inf", None),
            ("1e300", None),
            ("1m", None),
        ] {
            assert_eq!(seconds(text).ok(), expected, "{text}");
        }
    }
}
