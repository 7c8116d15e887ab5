use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use tracing::debug;
use walkdir::WalkDir;

use super::Stamp;

/// What one look at the models folders found. No file was opened for it.
#[derive(Debug, Default)]
pub struct Scan {
    /// Every checkpoint by its path, links followed.
    pub files: BTreeMap<PathBuf, Stamp>,
    /// Models folders that are not there.
    pub missing: BTreeSet<PathBuf>,
    /// What is wrong with a models folder.
    pub problems: BTreeMap<PathBuf, String>,
    /// Some folder could not be listed, so more may lie there.
    pub incomplete: bool,
}

/// Looks at everything below `models_dirs`.
pub fn scan(models_dirs: &[PathBuf]) -> Scan {
    let mut scan = Scan::default();
    for dir in models_dirs {
        scan_dir(dir, &mut scan);
    }
    scan
}

fn scan_dir(dir: &Path, scan: &mut Scan) {
    for entry in WalkDir::new(dir).follow_links(true) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                note_problem(dir, &error, scan);
                continue;
            }
        };
        if !checkpoint::is_checkpoint_name(entry.path()) {
            continue;
        }
        match entry.metadata() {
            Ok(metadata) if metadata.is_file() => {
                scan.files.insert(entry.into_path(), Stamp::from(&metadata));
            }
            Ok(_) => {}
            // It went away between the listing and the look.
            Err(error) => debug!("{}: {error}", entry.path().display()),
        }
    }
    if !dir.is_dir() {
        scan.missing.insert(dir.to_owned());
        scan.incomplete = true;
        let what = if dir.exists() { "is not a folder" } else { "is not there" };
        scan.problems.insert(
            dir.to_owned(),
            format!("{} {what}; it is looked for again every few seconds", dir.display()),
        );
    }
}

fn note_problem(dir: &Path, error: &walkdir::Error, scan: &mut Scan) {
    let path = error.path().unwrap_or(dir).display();
    let kind = error.io_error().map(std::io::Error::kind);
    match kind {
        // A dangling link, a file that went meanwhile, or a link to a folder around it.
        None | Some(std::io::ErrorKind::NotFound) => debug!("{error}"),
        Some(_) => {
            let problem =
                format!("{path} can't be listed ({error}); give sdtrtd the right to read it");
            scan.problems.insert(dir.to_owned(), problem);
            scan.incomplete = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn finds_checkpoints_behind_links_and_survives_loops() {
        let dir = tempfile::tempdir().unwrap();
        let (models, other) = (dir.path().join("models"), dir.path().join("other"));
        fs::create_dir_all(models.join("sub")).unwrap();
        fs::create_dir_all(&other).unwrap();
        for path in [models.join("a.safetensors"), other.join("b.ckpt"), models.join("sub/c.part")]
        {
            fs::write(path, "x").unwrap();
        }
        fs::create_dir(models.join("folder.safetensors")).unwrap();
        symlink(&other, models.join("link")).unwrap();
        symlink(&models, models.join("sub/loop")).unwrap();
        symlink("nowhere", models.join("dangling.safetensors")).unwrap();
        fs::hard_link(models.join("a.safetensors"), models.join("sub/hard.safetensors")).unwrap();

        let scan = scan(std::slice::from_ref(&models));

        let found: Vec<_> =
            scan.files.keys().map(|path| path.strip_prefix(&models).unwrap()).collect();
        assert_eq!(
            found,
            [
                Path::new("a.safetensors"),
                Path::new("link/b.ckpt"),
                Path::new("sub/hard.safetensors")
            ]
        );
        assert_eq!(
            scan.files[&models.join("a.safetensors")],
            scan.files[&models.join("sub/hard.safetensors")]
        );
        assert!(scan.problems.is_empty(), "{:?}", scan.problems);
        assert!(!scan.incomplete);
    }

    #[test]
    fn a_folder_that_is_not_there_is_a_problem_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let (here, gone) = (dir.path().join("here"), dir.path().join("gone"));
        fs::create_dir(&here).unwrap();
        fs::write(here.join("a.safetensors"), "x").unwrap();
        let scan = scan(&[gone.clone(), here]);
        assert_eq!(scan.files.len(), 1);
        assert!(scan.problems[&gone].contains("is not there"));
        assert!(scan.incomplete);
    }
}
