//! Decides which names each engine should be listed under.

use std::collections::{BTreeMap, BTreeSet};

use checkpoint::Id;

use super::schema::{Entry, ModelJson};

/// The checkpoint of each engine file, determined when the file was first seen; `None` if there were several
/// candidates, which can't be told apart later either.
pub(super) type FileOwners = BTreeMap<String, Option<Id>>;

/// A checkpoint in a web UI's folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// The checkpoint's weights id.
    pub(super) weights: Id,
    /// The name for 'Automatic'.
    pub(super) model_name: String,
    /// The name for the extension's look-up.
    pub(super) base_name: String,
}

impl Named {
    fn names(&self) -> [&str; 2] {
        [&self.model_name, &self.base_name]
    }
}

/// Determines the checkpoints of newly listed engines: those that their names stand for.
pub(super) fn adopt(index: &ModelJson, checkpoints: &[Named], owners: &mut FileOwners) {
    let meant = by_name(checkpoints);
    for (name, entry) in index
        .values()
        .flatten()
        .flat_map(|(name, entries)| entries.iter().map(move |entry| (name.as_str(), entry)))
    {
        if entry.config.lora || owners.contains_key(&entry.filepath) {
            continue;
        }
        if let Some(contents) = meant.get(name) {
            let owner = if let [only] = contents[..] { Some(only) } else { None };
            owners.insert(entry.filepath.clone(), owner);
        }
    }
}

/// Returns the index as it should be: each engine under all current names of its checkpoint, without engines
/// whose file is gone. Unknown entries stay as they are, so that nothing is lost.
pub(super) fn reconcile(
    index: &ModelJson,
    checkpoints: &[Named],
    owners: &FileOwners,
    is_there: impl Fn(&str) -> bool,
) -> ModelJson {
    let meant = by_name(checkpoints);
    let mut wanted = ModelJson::new();
    for (capability, models) in index {
        let mut listed: BTreeMap<String, BTreeMap<&str, &Entry>> = BTreeMap::new();
        for (name, entries) in models {
            for entry in entries.iter().filter(|entry| is_there(&entry.filepath)) {
                for name in names(name, entry, checkpoints, owners, &meant) {
                    listed.entry(name).or_default().insert(&entry.filepath, entry);
                }
            }
        }
        let models: BTreeMap<_, _> = listed
            .into_iter()
            .map(|(name, entries)| (name, entries.into_values().cloned().collect()))
            .collect();
        if !models.is_empty() {
            wanted.insert(capability.clone(), models);
        }
    }
    wanted
}

/// Returns the names for an engine that is listed under `name`.
fn names(
    name: &str,
    entry: &Entry,
    checkpoints: &[Named],
    owners: &FileOwners,
    meant: &BTreeMap<&str, Vec<Id>>,
) -> BTreeSet<String> {
    let owner = owners.get(&entry.filepath).copied().flatten().filter(|_| !entry.config.lora);
    let ours = checkpoints.iter().filter(|checkpoint| Some(checkpoint.weights) == owner);
    let names: BTreeSet<String> = ours
        .flat_map(Named::names)
        // Under a name that two checkpoints share, the extension would use one's engine for the other.
        .filter(|name| meant.get(name).is_some_and(|contents| contents.len() == 1))
        .map(str::to_owned)
        .collect();
    // Its checkpoint is missing: it may return, or belong to another program.
    if names.is_empty() { BTreeSet::from([name.to_owned()]) } else { names }
}

/// Returns the distinct checkpoints of each name.
fn by_name(checkpoints: &[Named]) -> BTreeMap<&str, Vec<Id>> {
    let mut meant: BTreeMap<&str, Vec<Id>> = BTreeMap::new();
    for checkpoint in checkpoints {
        for name in checkpoint.names() {
            let contents = meant.entry(name).or_default();
            if !contents.contains(&checkpoint.weights) {
                contents.push(checkpoint.weights);
            }
        }
    }
    meant
}
