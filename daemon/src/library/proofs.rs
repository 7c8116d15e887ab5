//! The web UI's comparisons of engines with PyTorch: `DATA/proofs`, described in docs/index.md.

use std::{collections::HashMap, path::Path};

use checkpoint::Id;
use engine::Proof;

use crate::library::kept::{self, OfUnet};

/// The error against PyTorch when an engine was first used, by engine and UNet.
pub(crate) type Proofs = HashMap<(Id, Id), Proof>;

/// Reads all comparisons.
pub(crate) fn read(folder: &Path) -> Proofs {
    kept::read(folder).map(|(whose, proof): (OfUnet, Proof)| (whose.into(), proof)).collect()
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

    fn id(name: &str) -> Id {
        Id::from(blake3::hash(name.as_bytes()))
    }

    #[test]
    fn the_web_uis_files_are_read_until_they_are_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let write = |engine: &str, error: Option<f64>, version: u32| {
            let unet = id("unet").to_string();
            let file = json!({ "version": version, "engine": id(engine).to_string(), "unet": unet,
                "relative_error": error, "bound": 0.02, "gpu": "NVIDIA GeForce RTX 4090" });
            let name = format!("{}-{}.json", id(engine), &unet[..12]);
            fs::write(folder.path().join(name), file.to_string()).unwrap();
        };
        write("right", Some(0.0021), 1);
        write("wrong", Some(0.3), 1);
        write("no number", None, 1);
        write("later", Some(0.0), 2);
        fs::write(folder.path().join("broken.json"), "{").unwrap();
        fs::write(folder.path().join(".aside"), "{}").unwrap();

        let proofs = read(folder.path());
        let held = |engine| proofs.get(&(id(engine), id("unet"))).map(Proof::holds);
        for (engine, holds) in [
            ("right", Some(true)),
            ("wrong", Some(false)),
            ("no number", Some(false)),
            ("later", None),
        ] {
            assert_eq!(held(engine), holds, "{engine}");
        }

        forget(folder.path(), &id("wrong"));
        let proofs = read(folder.path());
        assert_eq!(proofs.len(), 2);
        assert!(!proofs.contains_key(&(id("wrong"), id("unet"))));
        assert!(read(Path::new("/nowhere")).is_empty());
    }
}
