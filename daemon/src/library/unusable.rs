//! Calls at which engines failed in the web UI: `DATA/unusable`, described in docs/index.md.

use std::{collections::HashMap, path::Path};

use checkpoint::Id;
use protocol::Unusable;
use serde::Deserialize;

use crate::library::kept::{self, OfUnet};

/// The calls for which an engine's output had NaN or infinity, by engine and UNet.
pub(crate) type Unusables = HashMap<(Id, Id), Vec<Unusable>>;

#[derive(Deserialize)]
struct UnusableFile {
    sizes: Vec<Unusable>,
}

/// Reads all failures.
pub(crate) fn read(folder: &Path) -> Unusables {
    let files = kept::read(folder);
    files.map(|(whose, UnusableFile { sizes }): (OfUnet, _)| (whose.into(), sizes)).collect()
}

/// Deletes those of an engine.
pub(crate) fn forget(folder: &Path, engine: &Id) {
    kept::forget(folder, engine);
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    #[test]
    fn the_web_uis_files_are_read_until_they_are_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let [engine, unet] = ["engine", "unet"].map(|name| Id::from(blake3::hash(name.as_bytes())));
        let size = json!({ "gpu": "a GPU", "driver": "1", "width": 1920, "height": 1080, "batch": 2,
            "tokens": 77, "time": 1_795_000_000 });
        let file = json!({ "version": 1, "engine": engine, "unet": unet, "sizes": [size] });
        fs::write(folder.path().join(format!("{engine}-12.json")), file.to_string()).unwrap();
        let expected = Unusable {
            gpu: "a GPU".to_owned(),
            driver: "1".to_owned(),
            width: 1920,
            height: 1080,
            batch: 2,
            tokens: 77,
        };
        assert_eq!(read(folder.path()), [((engine, unet), vec![expected])].into());
        forget(folder.path(), &engine);
        assert!(read(folder.path()).is_empty());
    }
}
