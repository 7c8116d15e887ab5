//! Which names each engine should be listed under.

use std::collections::{BTreeMap, BTreeSet};

use checkpoint::Id;

use super::schema::{Entry, Index};

/// Which checkpoint each engine file belongs to, as was learned when it was first seen; `None` where
/// that could have been several, which no later look can tell apart.
pub(super) type Owners = BTreeMap<String, Option<Id>>;

/// A checkpoint in a web UI's folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// Its content.
    pub(super) weights: Id,
    /// The name by which 'Automatic' chooses.
    pub(super) model_name: String,
    /// The name that the extension looks up.
    pub(super) base_name: String,
}

impl Named {
    fn names(&self) -> [&str; 2] {
        [&self.model_name, &self.base_name]
    }
}

/// Learns whose engines are listed that were not seen before: that of the content which their name
/// stands for.
pub(super) fn adopt(index: &Index, checkpoints: &[Named], owners: &mut Owners) {
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

/// The index as it should be: each engine under all names that its checkpoint has now, those whose
/// file is gone left out. What is not known stays where it is, so that nothing is lost by it.
pub(super) fn reconcile(
    index: &Index,
    checkpoints: &[Named],
    owners: &Owners,
    is_there: impl Fn(&str) -> bool,
) -> Index {
    let meant = by_name(checkpoints);
    let mut wanted = Index::new();
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

/// The names for an engine that is listed under `name`.
fn names(
    name: &str,
    entry: &Entry,
    checkpoints: &[Named],
    owners: &Owners,
    meant: &BTreeMap<&str, Vec<Id>>,
) -> BTreeSet<String> {
    let owner = owners.get(&entry.filepath).copied().flatten().filter(|_| !entry.config.lora);
    let ours = checkpoints.iter().filter(|checkpoint| Some(checkpoint.weights) == owner);
    let names: BTreeSet<String> = ours
        .flat_map(Named::names)
        // Under a name that two contents share, the extension would take one's engine for the other.
        .filter(|name| meant.get(name).is_some_and(|contents| contents.len() == 1))
        .map(str::to_owned)
        .collect();
    // Its checkpoint is away: it may come back, or be another program's business.
    if names.is_empty() { BTreeSet::from([name.to_owned()]) } else { names }
}

/// The contents that each name stands for, each once.
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
