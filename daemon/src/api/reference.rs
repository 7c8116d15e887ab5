use std::path::Path;

use checkpoint::Id;
use protocol::{Checkpoint, Failure};

/// Names less similar than this (Jaro-Winkler) are not suggested.
const ALIKE: f64 = 0.85;

/// The maximum number of suggestions.
const SUGGESTED: usize = 3;

/// Returns the entry that `reference` names: by path, by file name with or without its extension, or by a
/// prefix of the weights or UNet id.
///
/// # Errors
/// If there is none, or more than one.
pub(crate) fn resolve<'a>(
    reference: &str,
    checkpoints: &[&'a Checkpoint],
) -> Result<&'a Checkpoint, Failure> {
    let by_path = |c: &Checkpoint| c.locations.iter().any(|path| path == reference);
    let by_name = |c: &Checkpoint| {
        c.locations
            .iter()
            .map(Path::new)
            .any(|path| [path.file_name(), path.file_stem()].contains(&Some(reference.as_ref())))
    };
    let by_id = |c: &Checkpoint| {
        let is_prefix = |id: Id| !reference.is_empty() && id.to_string().starts_with(reference);
        c.weights_id.is_some_and(is_prefix) || c.unet_id.is_some_and(is_prefix)
    };
    // The more exact match wins: a file's name may be the prefix of another's id.
    for names in [&by_path as &dyn Fn(&Checkpoint) -> bool, &by_name, &by_id] {
        let found: Vec<&Checkpoint> = checkpoints.iter().copied().filter(|c| names(c)).collect();
        match found.as_slice() {
            [] => {}
            [one] => return Ok(one),
            several => {
                return Err(Failure::Ambiguous {
                    reference: reference.to_owned(),
                    candidates: several.iter().map(|c| candidate(c)).collect(),
                });
            }
        }
    }
    Err(Failure::NotFound {
        reference: reference.to_owned(),
        similar: similar(reference, checkpoints),
    })
}

/// Returns the paths of files with names similar to `reference`, the most similar first.
fn similar(reference: &str, checkpoints: &[&Checkpoint]) -> Vec<String> {
    let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_lowercase();
    let stem = |name: &str| name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned();
    let wanted = name(reference);
    let likeness = |path: &str| {
        let name = name(path);
        strsim::jaro_winkler(&wanted, &name).max(strsim::jaro_winkler(&wanted, &stem(&name)))
    };
    let paths = checkpoints.iter().flat_map(|checkpoint| &checkpoint.locations);
    let mut found: Vec<_> = paths.map(|path| (likeness(path), path)).collect();
    found.retain(|(likeness, _)| *likeness > ALIKE);
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    found.into_iter().take(SUGGESTED).map(|(_, path)| path.clone()).collect()
}

fn candidate(checkpoint: &Checkpoint) -> String {
    checkpoint.locations.first().cloned().unwrap_or_else(|| checkpoint.key().to_string())
}

#[cfg(test)]
mod tests {
    use protocol::State;

    use super::*;

    /// An id that starts with these digits.
    fn id(digits: &str) -> Id {
        format!("{digits:0<64}").parse().unwrap()
    }

    fn entry(weights_id: Option<&str>, unet_id: &str, locations: &[&str]) -> Checkpoint {
        Checkpoint {
            weights_id: weights_id.map(id),
            unet_id: Some(id(unet_id)),
            architecture: None,
            state: State::Ready,
            reason: None,
            remarks: Vec::new(),
            locations: locations.iter().map(|path| (*path).to_owned()).collect(),
            engines: Vec::new(),
            coming: Vec::new(),
        }
    }

    #[test]
    fn names_in_order_of_exactness() {
        let a = entry(Some("abc1"), "ffff", &["/m/one.safetensors", "/m/sub/copy.safetensors"]);
        let b = entry(Some("abd2"), "ffff", &["/m/abc1.safetensors", "/m/sub/twin.safetensors"]);
        let c = entry(None, "0123", &["/n/twin.safetensors"]);
        let all = [&a, &b, &c];
        let found = |reference: &str| resolve(reference, &all).map(candidate);
        for (reference, first_location) in [
            ("/m/sub/copy.safetensors", "/m/one.safetensors"),
            ("copy.safetensors", "/m/one.safetensors"),
            ("copy", "/m/one.safetensors"),
            ("abc1", "/m/abc1.safetensors"),
            ("abc", "/m/one.safetensors"),
            ("01", "/n/twin.safetensors"),
        ] {
            assert_eq!(found(reference), Ok(first_location.to_owned()), "{reference}");
        }
        for reference in ["twin", "ab", "ffff"] {
            assert!(matches!(found(reference), Err(Failure::Ambiguous { .. })), "{reference}");
        }
        for (reference, suggested) in [
            ("oen.safetensors", "/m/one.safetensors"),
            ("Copi", "/m/sub/copy.safetensors"),
            ("/elsewhere/tiwn.safetensors", "/m/sub/twin.safetensors"),
        ] {
            let Err(Failure::NotFound { similar, .. }) = found(reference) else {
                panic!("{reference} was found")
            };
            assert_eq!(similar.first().map(String::as_str), Some(suggested), "{reference}");
        }
        for reference in ["", "nothing", "/m/one"] {
            assert!(matches!(found(reference), Err(Failure::NotFound { .. })), "{reference}");
        }
    }
}
