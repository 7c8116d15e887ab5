//! Bytes and times for people.

use std::time::Duration;

/// Such as `1.74 GB`.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(crate) fn bytes(bytes: u64) -> String {
    let units = [("GB", 1e9), ("MB", 1e6), ("kB", 1e3)];
    match units.into_iter().find(|(_, unit)| bytes as f64 >= *unit) {
        Some((name, unit)) => {
            let value = bytes as f64 / unit;
            let digits = usize::from(value < 100.0) + usize::from(value < 10.0);
            format!("{value:.digits$} {name}")
        }
        None => format!("{bytes} B"),
    }
}

/// Such as `0.213 s`.
pub(crate) fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 10.0 { format!("{seconds:.3} s") } else { format!("{seconds:.1} s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_a_unit() {
        for (given, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_500, "1.50 kB"),
            (24_515_943, "24.5 MB"),
            (220_572_064, "221 MB"),
            (1_743_658_036, "1.74 GB"),
        ] {
            assert_eq!(bytes(given), expected);
        }
        assert_eq!(seconds(Duration::from_millis(213)), "0.213 s");
        assert_eq!(seconds(Duration::from_millis(36_040)), "36.0 s");
    }
}
