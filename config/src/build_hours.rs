use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// The part of each day in which jobs may start, in local time, such as `23:00-07:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BuildHours {
    /// Minutes after midnight.
    from: u16,
    /// Likewise; it may be the next day's.
    to: u16,
}

/// The text is no part of a day.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("invalid value '{0}': expected two times of a day, such as 23:00-07:00")]
pub struct NotBuildHours(String);

impl BuildHours {
    /// Whether they contain this minute of the day.
    pub fn contain(self, minute: u16) -> bool {
        let Self { from, to } = self;
        let since = |time: u16| (DAY + time - from) % DAY;
        since(minute) < since(to)
    }
}

impl FromStr for BuildHours {
    type Err = NotBuildHours;

    fn from_str(text: &str) -> Result<Self, NotBuildHours> {
        let times = text.split_once(['-', '–']).and_then(|(from, to)| {
            let hours = Self { from: minute(from.trim())?, to: minute(to.trim())? };
            // It could mean always or never.
            (hours.from != hours.to).then_some(hours)
        });
        times.ok_or_else(|| NotBuildHours(text.to_owned()))
    }
}

/// The minute of the day at which a clock shows this; 24:00 is midnight.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |digits: &str| {
        let is_number =
            (1..=2).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        is_number.then(|| digits.parse::<u16>().ok()).flatten()
    };
    let (hour, minute) = (number(hour)?, number(minute).filter(|_| minute.len() == 2)?);
    let time = hour * 60 + minute;
    (minute < 60 && time <= DAY).then_some(time % DAY)
}

impl fmt::Display for BuildHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

impl From<BuildHours> for String {
    fn from(hours: BuildHours) -> Self {
        hours.to_string()
    }
}

impl TryFrom<String> for BuildHours {
    type Error = NotBuildHours;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_minute_belongs_to_them_and_the_last_does_not() {
        for (hours, within, without) in [
            ("23:00-07:00", vec![1380, 1439, 0, 419], vec![420, 720, 1379]),
            ("9:30-17:00", vec![570, 1019], vec![569, 1020, 0]),
            ("00:00-24:00", vec![], vec![]),
            ("22:00-24:00", vec![1320, 1439], vec![0, 1319]),
            ("0:00 – 6:00", vec![0, 359], vec![360, 1439]),
        ] {
            let Ok(parsed) = hours.parse::<BuildHours>() else {
                assert_eq!(hours, "00:00-24:00", "it says nothing");
                continue;
            };
            assert!(within.iter().all(|minute| parsed.contain(*minute)), "{hours}");
            assert!(!without.iter().any(|minute| parsed.contain(*minute)), "{hours}");
        }
    }

    #[test]
    fn what_is_no_part_of_a_day() {
        for text in [
            "",
            "23:00",
            "23-07",
            "25:00-07:00",
            "23:60-07:00",
            "7:0-8:00",
            "-",
            "a:00-b:00",
            "08:00-08:00",
            "+8:00-09:00",
            "008:00-9:00",
        ] {
            assert_eq!(text.parse::<BuildHours>(), Err(NotBuildHours(text.to_owned())), "{text}");
        }
        assert_eq!("9:30 - 24:00".parse::<BuildHours>().unwrap().to_string(), "09:30-00:00");
    }
}
