//! Describes what reconciling changes.

use std::collections::{BTreeMap, BTreeSet};

use super::schema::ModelJson;

/// Returns a line for each engine whose names change, or that is no longer listed.
pub(super) fn changes(before: &ModelJson, after: &ModelJson) -> Vec<String> {
    let (before, after) = (names(before), names(after));
    let line = |(file, old): (&&str, &BTreeSet<&str>)| match after.get(file) {
        None => Some(format!("{file} is gone: no longer listed")),
        Some(new) if new == old => None,
        Some(new) => Some(format!("{file}: {} → {}", joined(old), joined(new))),
    };
    before.iter().filter_map(line).collect()
}

/// The names under which each file is listed.
fn names(index: &ModelJson) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut names: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, entries) in index.values().flatten() {
        for entry in entries {
            names.entry(&entry.filepath).or_default().insert(name);
        }
    }
    names
}

fn joined(names: &BTreeSet<&str>) -> String {
    names.iter().copied().collect::<Vec<_>>().join(", ")
}
