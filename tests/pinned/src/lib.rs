//! Golden files: bytes on disk and on the wire that must not change.
//!
//! A rename of a type, variant or field that changes them breaks a test. If the change is deliberate, the
//! failure names a file with the new text to commit; keys, formats and versions must then distinguish old
//! from new.

// This crate is only used in tests.
#![allow(clippy::unwrap_used)]

use std::{env, fmt::Debug, fs};

use serde::{Serialize, de::DeserializeOwned};

/// Asserts that `found` equals the golden file `name`.
///
/// # Panics
/// If it does not.
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
    panic!("{name} differs at {place}If that is deliberate, commit {} instead", aside.display());
}

/// Asserts that these values serialize to the lines of the golden file `name`, and that the lines deserialize
/// to the values.
///
/// # Panics
/// If any does not.
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

/// Asserts that every variant of an enum occurs in `golden`, in the form of `written` with the variant's name
/// for `?`: `"?"`, or `"kind":"?"` if a field has it.
///
/// # Panics
/// If one does not, or `T` is not an enum.
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
        assert!(golden.contains(&written), "the golden file lacks {written}");
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
    fn unchanged_values_pass() {
        assert_json_lines("lines", LINES, &[Plain::One, Plain::Two(2)]);
        assert_variants::<Plain>(LINES, "\"?\"");
        assert_variants::<Tagged>(r#"{"kind":"one"} {"kind":"two","number":1}"#, "\"kind\":\"?\"");
    }

    #[test]
    #[should_panic(expected = "lines differs at line 2")]
    fn a_changed_value_fails() {
        assert_json_lines("lines", LINES, &[Plain::One, Plain::Two(3)]);
    }

    #[test]
    #[should_panic(expected = "lines differs at its end")]
    fn one_more_does_not() {
        assert_json_lines("lines", LINES, &[Plain::One, Plain::Two(2), Plain::One]);
    }

    #[test]
    #[should_panic(expected = "the golden file lacks \"kind\":\"two\"")]
    fn a_missing_variant_fails() {
        assert_variants::<Tagged>(r#"{"kind":"one"}"#, "\"kind\":\"?\"");
    }
}
