//! The time of the day, where this machine is.

use jiff::{Timestamp, Zoned, tz::TimeZone};

/// The minute of the day.
pub(crate) fn minute() -> u16 {
    let now = Zoned::now();
    u16::from(now.hour().unsigned_abs()) * 60 + u16::from(now.minute().unsigned_abs())
}

/// A time, given in seconds since 1970, as a clock shows it; with the day if that is another one.
pub(crate) fn shown(seconds: u64) -> String {
    let shown = |seconds: u64| {
        let time = Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?;
        let time = time.to_zoned(TimeZone::system());
        let format = if time.date() == Zoned::now().date() { "%H:%M" } else { "%Y-%m-%d %H:%M" };
        Some(time.strftime(format).to_string())
    };
    shown(seconds).unwrap_or_else(|| format!("{seconds} s after 1970"))
}
