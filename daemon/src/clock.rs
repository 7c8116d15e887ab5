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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// As `TZ=Asia/Tokyo` names it: without the zones' files everything would be in UTC, and nothing would say so.
    #[test]
    fn zones_are_known_by_name_where_the_system_has_them() {
        if !Path::new("/usr/share/zoneinfo/Asia/Tokyo").exists() {
            return;
        }
        let noon = Timestamp::from_second(1_795_003_200).unwrap();
        let there = noon.to_zoned(TimeZone::get("Asia/Tokyo").unwrap());
        assert_eq!((there.hour() - noon.to_zoned(TimeZone::UTC).hour()).rem_euclid(24), 9);
    }
}
