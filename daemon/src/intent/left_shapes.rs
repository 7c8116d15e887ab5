//! Shapes that the web UI was asked for while the daemon was not running: `DATA/shapes`, described in
//! docs/index.md.

use std::{fs, path::Path};

use anyhow::{Result, bail, ensure};
use checkpoint::Id;
use engine::read_regular;
use protocol::Shape;
use serde::Deserialize;
use tracing::warn;

/// The version of the files that can be read.
const VERSION: u32 = 1;

/// More than a file takes.
const BYTES: u64 = 16 << 20;

#[derive(Deserialize)]
struct ShapesFile {
    version: u32,
    signature: Id,
    shapes: Vec<Shape>,
}

/// Reads all shapes and deletes the files.
pub(crate) fn take(folder: &Path) -> Vec<(Id, Vec<Shape>)> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let whole = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let taken = whole.filter_map(|path| {
        let read = read(&path);
        if let Err(error) = fs::remove_file(&path) {
            warn!("cannot remove {}: {error}", path.display());
        }
        read.map_err(|error| warn!("{} is not understood and deleted: {error:#}", path.display()))
            .ok()
    });
    taken.collect()
}

fn read(path: &Path) -> Result<(Id, Vec<Shape>)> {
    let ShapesFile { version, signature, shapes } =
        serde_json::from_slice(&read_regular(path, BYTES)?)?;
    ensure!(version == VERSION, "its version {version} is not {VERSION}");
    match shapes.iter().find_map(Shape::problem) {
        Some(problem) => bail!(problem),
        None => Ok((signature, shapes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_web_uis_files_are_read_once_and_damaged_ones_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let signature = Id::from(blake3::hash(b"sd1"));
        let file = |version, width| {
            format!(
                r#"{{"version":{version},"signature":"{signature}","shapes":[
                    {{"width":{width},"height":768,"batch":2}}]}}"#
            )
        };
        for (name, text) in [
            ("right.json", file(1, 512)),
            ("newer.json", file(2, 512)),
            ("crooked.json", file(1, 500)),
            ("half.json", "{".to_owned()),
            (".aside", "{".to_owned()),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let shape = Shape { width: 512, height: 768, batch: 2 };
        assert_eq!(take(folder.path()), [(signature, vec![shape])]);
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().collect();
        assert!(left.len() == 1 && left[0].file_name() == ".aside");
        assert!(take(folder.path()).is_empty() && take(Path::new("/nowhere")).is_empty());
    }
}
