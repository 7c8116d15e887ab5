//! Golden files: what is written to disks and wires, byte for byte.
//!
//! Whoever renames a type, a variant or a field in a way that others would notice, breaks a test. Where
//! the break is meant, the failure names a file with the text to commit instead: keys, formats and
//! versions then have to tell old from new.

// Nothing here is used but in tests.
#![allow(clippy::unwrap_used)]

use std::{env, fmt::Debug, fs};

use serde::{Serialize, de::DeserializeOwned};

/// Asserts that `found` is what the golden file `name` holds.
///
/// # Panics
/// When it is not.
pub fn assert_text(name: &str, golden: &str, found: &str) {
    if found == golden {
        return;
    }
    let aside = env::temp_dir().join(format!("found-{name}"));
    fs::write(&aside, found).unwrap();
    let mut lines = golden.lines().zip(found.lines()).enumerate();
    let place = match lines.find(|(_, (golden, found))| golden != found) {
        Some((line, (golden, found))) => {
            format!("line {}\n golden: {golden}\n  found: {found}\n", line + 1)
        }
        None => "its end\n".to_owned(),
    };
    panic!("{name} differs at {place}If that is meant, {} is the new one", aside.display());
}

/// Asserts that these values are the lines of JSON of the golden file `name`, and that those lines are
/// read as these values.
///
/// # Panics
/// When one is not.
pub fn assert_json_lines<T>(name: &str, golden: &str, values: &[T])
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let line = |value: &T| serde_json::to_string(value).unwrap() + "\n";
    assert_text(name, golden, &values.iter().map(line).collect::<String>());
    for (line, value) in golden.lines().zip(values) {
        assert_eq!(&serde_json::from_str::<T>(line).unwrap(), value, "{line}");
    }
}

/// Asserts that every variant of an enum stands in `golden`, as `written` with the variant's name for `?`:
/// `"?"`, or `"kind":"?"` where a field names it.
///
/// # Panics
/// When one does not, or `T` is no enum.
pub fn assert_variants<T: DeserializeOwned>(golden: &str, written: &str) {
    let unknown = |json: &str| {
        let error = serde_json::from_str::<T>(json).err()?.to_string();
        error.starts_with("unknown variant").then_some(error)
    };
    let error = unknown("\"?\"").or_else(|| unknown(&format!("{{{written}}}")));
    // unknown variant `?`, expected one of `a`, `b`
    let known: Vec<String> =
        error.unwrap().split('`').skip(3).step_by(2).map(str::to_owned).collect();
    assert!(!known.is_empty());
    for variant in known {
        let written = written.replace('?', &variant);
        assert!(golden.contains(&written), "nothing golden has {written}");
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Plain {
        One,
        Two(u8),
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind", rename_all = "lowercase")]
    enum Tagged {
        One,
        Two { number: u8 },
    }

    const LINES: &str = "\"one\"\n{\"two\":2}\n";

    #[test]
    fn what_is_as_it_was_passes() {
        assert_json_lines("lines", LINES, &[Plain::One, Plain::Two(2)]);
        assert_variants::<Plain>(LINES, "\"?\"");
        assert_variants::<Tagged>(r#"{"kind":"one"} {"kind":"two","number":1}"#, "\"kind\":\"?\"");
    }

    #[test]
    #[should_panic(expected = "lines differs at line 2")]
    fn another_value_does_not() {
        assert_json_lines("lines", LINES, &[Plain::One, Plain::Two(3)]);
    }

    #[test]
    #[should_panic(expected = "lines differs at its end")]
    fn one_more_does_not() {
        assert_json_lines("lines", LINES, &[Plain::One, Plain::Two(2), Plain::One]);
    }

    #[test]
    #[should_panic(expected = "nothing golden has \"kind\":\"two\"")]
    fn a_variant_that_was_forgotten_does_not() {
        assert_variants::<Tagged>(r#"{"kind":"one"}"#, "\"kind\":\"?\"");
    }
}
