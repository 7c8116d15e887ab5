//! Checkpoints in several files, as diffusers and transformers save what is larger than 10 GB:
//! `NAME-00001-of-00003.safetensors` with `NAME.safetensors.index.json`.
//!
//! They are named and not joined: no front end that runs engines loads them (ComfyUI's loaders look for
//! `diffusion_pytorch_model[.fp16].safetensors` alone; Forge and A1111 take one file), so nothing could use an engine.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;

use crate::{file::Source, rejection::Rejection};

/// The most parts whose absence is looked for.
const PARTS: u32 = 1000;

/// How many missing files are named.
const NAMED: usize = 3;

/// Which part of a sharded checkpoint a file's name says that it is.
#[derive(Debug, PartialEq, Eq)]
struct Shard<'a> {
    stem: &'a str,
    number: u32,
    of: u32,
    extension: &'a str,
}

/// The longest index that is read.
const INDEX: u64 = 16 << 20;

/// Says more of a file that is no checkpoint: that it is one of several parts, or their index.
pub(crate) fn explain(rejection: Rejection, source: &Source, path: &Path) -> Rejection {
    use Rejection as R;
    let better = match &rejection {
        R::WebPage | R::NotACheckpoint | R::HeaderTooLong { .. } if source.len() <= INDEX => {
            let text = source.bytes(0, source.len() as usize).ok();
            text.and_then(|text| json(&text, path))
        }
        R::BadZip { .. } | R::TruncatedZip { .. }
            if path.extension().is_some_and(|name| name == "distcp") =>
        {
            Some(R::Distributed)
        }
        R::Other(kind) if kind.is_told_by_part() => {
            part(path).map(|(number, of, missing)| R::PartOf { kind, number, of, missing })
        }
        R::BadUnet { .. } | R::NoUnet | R::Other(_) | R::UnknownArchitecture { .. } => {
            part(path).map(|(number, of, missing)| R::Part { number, of, missing })
        }
        _ => None,
    };
    better.unwrap_or(rejection)
}

/// Which part a file is, of how many, and which are missing, if its name says so.
fn part(path: &Path) -> Option<(u32, u32, String)> {
    let name = path.file_name()?.to_str()?;
    let Shard { stem, number, of, extension } = parse(name)?;
    let folder = path.parent()?;
    let others = (1..=of.min(PARTS)).map(|one| format!("{stem}-{one:05}-of-{of:05}.{extension}"));
    let missing = named(others.filter(|other| !folder.join(other).exists()));
    Some((number, of, missing))
}

fn parse(name: &str) -> Option<Shard<'_>> {
    let (rest, extension) = name.rsplit_once('.')?;
    let (rest, of) = rest.rsplit_once("-of-")?;
    let (stem, number) = rest.rsplit_once('-')?;
    let numeral = |text: &str| (text.len() == 5).then(|| text.parse().ok()).flatten();
    let (number, of) = (numeral(number)?, numeral(of)?);
    (1..=of).contains(&number).then_some(Shard { stem, number, of, extension })
}

/// Says what a JSON file beside checkpoints is, if it is one.
fn json(text: &[u8], path: &Path) -> Option<Rejection> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    #[derive(Deserialize)]
    struct Settings {
        #[serde(rename = "_class_name")]
        class: Option<String>,
        #[serde(rename = "_diffusers_version")]
        diffusers: Option<String>,
        model_type: Option<String>,
    }
    if let Ok(Index { weight_map }) = serde_json::from_slice(text) {
        let mut files: Vec<_> = weight_map.into_values().collect();
        files.sort_unstable();
        files.dedup();
        let parts = files.len();
        let folder = path.parent()?;
        // A name with a slash leads elsewhere.
        let is_missing = |file: &String| !file.contains('/') && !folder.join(file).exists();
        let missing = named(files.into_iter().filter(is_missing));
        return Some(Rejection::PartsIndex { parts, missing });
    }
    match serde_json::from_slice(text) {
        Ok(Settings { class: None, diffusers: None, model_type: None }) | Err(_) => None,
        Ok(_) => Some(Rejection::Settings),
    }
}

/// What is missing, for people: the first few by name.
fn named(missing: impl Iterator<Item = String>) -> String {
    let missing: Vec<_> = missing.collect();
    let shown = missing.get(..missing.len().min(NAMED)).unwrap_or_default().join(", ");
    match missing.len() {
        0 => "all of them are in its folder".to_owned(),
        len if len > NAMED => format!("missing here: {shown} and {} more", len - NAMED),
        _ => format!("missing here: {shown}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_parts() {
        let part = |stem, number, of| Some(Shard { stem, number, of, extension: "safetensors" });
        for (name, expected) in [
            (
                "diffusion_pytorch_model-00001-of-00003.safetensors",
                part("diffusion_pytorch_model", 1, 3),
            ),
            ("model.fp16-00002-of-00002.safetensors", part("model.fp16", 2, 2)),
            ("a-00004-of-00003.safetensors", None),
            ("a-00000-of-00003.safetensors", None),
            ("a-1-of-3.safetensors", None),
            ("part-of-me.safetensors", None),
            ("a-00001-of-00003", None),
        ] {
            assert_eq!(parse(name), expected, "{name}");
        }
    }
}
