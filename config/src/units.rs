//! Human-readable sizes and times.

use std::time::Duration;

/// Formats bytes with two digits, such as `1.7 GB`, in powers of ten, like disks and other tools.
#[must_use]
pub fn size(bytes: u64) -> String {
    rounded(bytes, 2)
}

/// Formats measured bytes with three digits, such as `1.74 GB`.
#[must_use]
pub fn measured_size(bytes: u64) -> String {
    rounded(bytes, 3)
}

fn rounded(bytes: u64, digits: i32) -> String {
    let mut value = bytes as f64;
    let mut units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    // 999.5 would be shown as 1000.
    while value >= 999.5 {
        let Some(next) = units.next() else { break };
        value /= 1000.0;
        unit = next;
    }
    // 9.95 would be shown as 10.0.
    let fits = |decimals: &i32| {
        let half = 0.5 * 10f64.powi(-decimals);
        unit != "B" && value < 10f64.powi(digits - decimals) - half
    };
    let decimals = (1..digits).rev().find(fits).unwrap_or_default();
    format!("{value:.*} {unit}", decimals.unsigned_abs() as usize)
}

/// Formats a duration in its two largest units, such as `1 h 2 min`.
#[must_use]
pub fn duration(seconds: u64) -> String {
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3600 % 24, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let first = parts.iter().position(|(count, _)| *count > 0).unwrap_or(3);
    let shown = parts.iter().skip(first).take(2).filter(|(count, _)| *count > 0);
    let shown: Vec<_> = shown.map(|(count, unit)| format!("{count} {unit}")).collect();
    if shown.is_empty() { "0 s".to_owned() } else { shown.join(" ") }
}

/// Formats a measured duration to the millisecond below 10 s, such as `0.213 s`.
#[must_use]
pub fn measured_time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 10.0 { format!("{seconds:.3} s") } else { format!("{seconds:.1} s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (bytes, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (9_949, "9.9 kB"),
            (9_999, "10 kB"),
            (999_600, "1.0 MB"),
            (1_720_000_000, "1.7 GB"),
            (u64::MAX, "18 EB"),
        ] {
            assert_eq!(size(bytes), expected, "{bytes}");
        }
    }

    #[test]
    fn durations() {
        for (seconds, expected) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3_725, "1 h 2 min"),
            (3_605, "1 h"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(duration(seconds), expected, "{seconds}");
        }
    }

    #[test]
    fn a_measurement_has_three_digits_and_a_unit() {
        for (given, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_500, "1.50 kB"),
            (9_996, "10.0 kB"),
            (24_515_943, "24.5 MB"),
            (99_960_000, "100 MB"),
            (220_572_064, "221 MB"),
            (1_743_658_036, "1.74 GB"),
        ] {
            assert_eq!(measured_size(given), expected);
        }
        assert_eq!(measured_time(Duration::from_millis(213)), "0.213 s");
        assert_eq!(measured_time(Duration::from_millis(36_040)), "36.0 s");
    }
}
