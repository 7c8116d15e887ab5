//! What other programs put beside a checkpoint: its title, and its picture.

use std::{
    collections::HashSet,
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// What follows a checkpoint's name without its extension in the names of files that tell of it, and where its title is
/// in each: in Civitai Helper's, Stability Matrix's, LoRA Manager's, and A1111's, whose people write what they like.
const TOLD: [(&str, &[&[&str]]); 4] = [
    (".civitai.info", &[&["/model/name", "/name"], &["/name"]]),
    (".cm-info.json", &[&["/UserTitle"], &["/ModelName", "/VersionName"], &["/ModelName"]]),
    (".metadata.json", &[&["/model_name"], &["/civitai/model/name"]]),
    (
        ".json",
        &[&["/title"], &["/model/name", "/name"], &["/modelName"], &["/model_name"], &["/name"]],
    ),
];

/// What follows it in the names of pictures, in the order in which A1111 looks for them.
const PICTURES: [&str; 7] = ["png", "jpg", "jpeg", "webp", "jxl", "avif", "gif"];

/// Bytes of the longest file that is read.
const LONGEST: u64 = 4 << 20;

/// Characters of the longest title.
const LONGEST_TITLE: usize = 200;

/// What lies beside a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sidecars {
    /// What one of them calls it.
    pub title: Option<String>,
    /// The picture that front ends show.
    pub picture: Option<PathBuf>,
    /// All of them.
    pub files: Vec<PathBuf>,
}

/// The names of a folder's files, listed once for all of its checkpoints.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    names: HashSet<OsString>,
}

impl Folder {
    /// Lists a folder; one that can't be listed has no files.
    pub fn list(path: &Path) -> Self {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        Self { path: path.to_owned(), names: entries.map(|entry| entry.file_name()).collect() }
    }

    /// What lies beside the checkpoint of this file name.
    pub fn sidecars(&self, checkpoint: &OsStr) -> Sidecars {
        let stem = Path::new(checkpoint).file_stem().unwrap_or(checkpoint);
        let beside = |ending: &str| {
            let mut name = stem.to_owned();
            name.push(ending);
            self.names.contains(&name).then(|| self.path.join(name))
        };
        let told = TOLD.iter().filter_map(|(ending, places)| Some((beside(ending)?, places)));
        let told: Vec<_> = told.collect();
        let pictures =
            PICTURES.iter().flat_map(|kind| [format!(".{kind}"), format!(".preview.{kind}")]);
        let pictures: Vec<_> = pictures.filter_map(|ending| beside(&ending)).collect();
        Sidecars {
            title: told.iter().find_map(|(file, places)| title(&read(file)?, places)),
            picture: pictures.first().cloned(),
            files: told.into_iter().map(|(file, _)| file).chain(pictures).collect(),
        }
    }
}

fn read(file: &Path) -> Option<Value> {
    // No pipe, which would be waited for.
    let is_file =
        fs::metadata(file).ok().is_some_and(|found| found.is_file() && found.len() <= LONGEST);
    let mut text = Vec::new();
    File::open(file).ok().filter(|_| is_file)?.take(LONGEST).read_to_end(&mut text).ok()?;
    // Windows' editors begin a file with a mark.
    serde_json::from_slice(text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text)).ok()
}

/// The first of these places where a file has a title: all texts there, in their order.
fn title(told: &Value, places: &[&[&str]]) -> Option<String> {
    places.iter().find_map(|place| {
        let texts: Option<Vec<&str>> = place.iter().map(|pointer| text(told, pointer)).collect();
        let mut texts = texts?;
        texts.dedup();
        Some(texts.join(", ").chars().take(LONGEST_TITLE).collect())
    })
}

fn text<'a>(told: &'a Value, pointer: &str) -> Option<&'a str> {
    told.pointer(pointer)?.as_str().map(str::trim).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beside(files: &[(&str, &str)]) -> (Option<String>, Option<String>, usize) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let found = Folder::list(folder.path()).sidecars(OsStr::new("photo.v1.safetensors"));
        let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        (found.title, found.picture.map(name), found.files.len())
    }

    #[test]
    fn titles_by_the_program_that_wrote_them() {
        for (name, text, expected) in [
            (
                "photo.v1.civitai.info",
                r#"{"name": "v6", "model": {"name": "Photo Real"}}"#,
                Some("Photo Real, v6"),
            ),
            ("photo.v1.civitai.info", r#"{"name": "v6"}"#, Some("v6")),
            ("photo.v1.civitai.info", r#"{"model": {"name": 5}}"#, None),
            (
                "photo.v1.cm-info.json",
                r#"{"ModelName": "Photo", "VersionName": "v6"}"#,
                Some("Photo, v6"),
            ),
            ("photo.v1.metadata.json", r#"{"model_name": "Photo"}"#, Some("Photo")),
            ("photo.v1.json", r#"{"description": "for faces", "notes": ""}"#, None),
            ("photo.v1.json", "\u{feff}{\"title\": \" Photo \"}", Some("Photo")),
            ("photo.v1.json", "not JSON", None),
            ("photo.json", r#"{"title": "another's"}"#, None),
            ("photo.v1.safetensors.json", r#"{"title": "nobody's"}"#, None),
        ] {
            assert_eq!(beside(&[(name, text)]).0.as_deref(), expected, "{name}: {text}");
        }
        let both =
            [("photo.v1.json", r#"{"title": "b"}"#), ("photo.v1.civitai.info", r#"{"name": "a"}"#)];
        assert_eq!(beside(&both), (Some("a".to_owned()), None, 2));
    }

    #[test]
    fn pictures_in_the_order_in_which_a1111_looks_for_them() {
        for (files, expected) in [
            (vec![("photo.v1.preview.png", "")], Some("photo.v1.preview.png")),
            (
                vec![("photo.v1.jpg", ""), ("photo.v1.preview.png", ""), ("photo.v1.webp", "")],
                Some("photo.v1.preview.png"),
            ),
            (vec![("photo.v1.preview.jpeg", ""), ("photo.v1.jpeg", "")], Some("photo.v1.jpeg")),
            (vec![("photo.png", ""), ("photo.v1.txt", "")], None),
        ] {
            assert_eq!(beside(&files).1.as_deref(), expected);
        }
    }

    #[test]
    fn what_cannot_be_read_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let nothing = Folder::list(&folder.path().join("none")).sidecars(OsStr::new("a.ckpt"));
        assert_eq!(nothing, Sidecars::default());
        fs::create_dir(folder.path().join("a.json")).unwrap();
        fs::write(folder.path().join("a.civitai.info"), vec![b'['; LONGEST as usize + 1]).unwrap();
        fs::write(folder.path().join("a.metadata.json"), "[".repeat(100_000)).unwrap();
        let found = Folder::list(folder.path()).sidecars(OsStr::new("a.ckpt"));
        assert_eq!((found.title, found.files.len()), (None, 3));
    }
}
