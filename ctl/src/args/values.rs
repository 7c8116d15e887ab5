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

/// A time in the units that people write, in seconds.
pub(super) fn time(text: &str) -> Result<f64, &'static str> {
    let parsed = text.parse::<jiff::SignedDuration>().map(|time| time.as_secs_f64());
    let seconds = parsed.ok().filter(|seconds| (1.0..=31_536_000.0).contains(seconds));
    seconds.ok_or("expected a time of up to a year with its unit, such as 2h, 90m or 1h30m")
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
    fn times_have_units() {
        for (text, expected) in [
            ("2h", Some(7200.0)),
            ("90m", Some(5400.0)),
            ("90 min", Some(5400.0)),
            ("1h30m", Some(5400.0)),
            ("1h 30m", Some(5400.0)),
            ("45s", Some(45.0)),
            ("2 hours", Some(7200.0)),
            ("2", None),
            ("0s", None),
            ("-2h", None),
            ("9000h", None),
            ("tomorrow", None),
            ("", None),
        ] {
            assert_eq!(time(text).ok(), expected, "{text}");
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
