use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use config::Ignored;

use crate::inventory::{
    Aliases, Notifier, Stamp,
    watch::{mounts, walk::walk},
};

/// Files that are handed over at a time: they can be taken in while the look goes on.
const HANDFUL: usize = 512;

/// What one look at the models folders found beside files. No file was opened for it.
#[derive(Debug, Default)]
pub struct Scan {
    /// Models folders that are not there, and folders whose disk is not.
    pub missing: BTreeSet<PathBuf>,
    /// Where disks are mounted at or below the models folders, or were and may be again.
    pub mounts: BTreeSet<PathBuf>,
    /// What is wrong with a models folder.
    pub problems: BTreeMap<PathBuf, String>,
    /// Some folder could not be listed, so more may lie there.
    pub incomplete: bool,
    /// Other ways to folders than those by which they were walked through.
    pub aliases: Aliases,
    /// Something may change without telling.
    pub is_silent: bool,
    /// How long it took.
    pub took: Duration,
}

/// Looks at everything below `models_dirs` but what is ignored, and has every folder watched. `mounts` are those of the
/// last scan. Every checkpoint is handed to `found` with its path, links followed, many at a time; one
/// that has two names is handed over twice.
pub(crate) fn scan(
    models_dirs: &[PathBuf],
    ignored: &Ignored,
    mounts: &BTreeSet<PathBuf>,
    notifier: &mut Notifier,
    mut found: impl FnMut(Vec<(PathBuf, Stamp)>),
) -> Scan {
    let started = Instant::now();
    let mut scan = Scan::default();
    let mut files = Vec::with_capacity(HANDFUL);
    for dir in models_dirs {
        scan_dir(dir, ignored, &mut scan, notifier, |file| {
            files.push(file);
            if files.len() == HANDFUL {
                found(mem::replace(&mut files, Vec::with_capacity(HANDFUL)));
            }
        });
    }
    found(files);
    let unwatched = notifier.finish();
    scan.is_silent |= unwatched.as_ref().is_some_and(|unwatched| unwatched.folders > 0);
    for dir in models_dirs.iter().filter(|_| unwatched.is_some()) {
        let problem = unwatched.as_ref().map(|unwatched| unwatched.problem.clone());
        scan.problems.entry(dir.clone()).or_insert(problem.unwrap_or_default());
    }
    let absent = mounts::absent(mounts, &scan.mounts);
    for place in &absent {
        note_absent_disk(place, models_dirs, &mut scan);
    }
    scan.mounts.extend(absent);
    scan.took = started.elapsed();
    scan
}

fn note_absent_disk(place: &Path, models_dirs: &[PathBuf], scan: &mut Scan) {
    let Some(dir) = models_dirs.iter().find(|dir| place.starts_with(dir)) else { return };
    scan.incomplete = true;
    scan.missing.insert(place.to_owned());
    let place = place.display();
    let problem = format!(
        "the disk at {place} is not mounted; its engines are kept, and it is looked for every few \
         seconds (if it is not to return, remove {place})"
    );
    scan.problems.insert(dir.clone(), problem);
}

fn scan_dir(
    dir: &Path,
    ignored: &Ignored,
    scan: &mut Scan,
    notifier: &mut Notifier,
    found: impl FnMut((PathBuf, Stamp)),
) {
    walk(dir, ignored, scan, notifier, found);
    if !dir.is_dir() {
        scan.missing.insert(dir.to_owned());
        scan.incomplete = true;
        let what = match dir.try_exists() {
            Ok(true) => "is not a folder",
            Ok(false) => "does not exist",
            // The walk has said so.
            Err(_) => return,
        };
        let problem = format!("{} {what}; it is looked for again every few seconds", dir.display());
        scan.problems.insert(dir.to_owned(), problem);
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn ignored(own: &[&str]) -> Ignored {
        Ignored::new(&own.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    fn scan(models_dirs: &[PathBuf]) -> (Scan, BTreeMap<PathBuf, Stamp>) {
        let mut files = BTreeMap::new();
        let mut notifier = Notifier::new(|_| {});
        let scan =
            super::scan(models_dirs, &ignored(&[]), &BTreeSet::new(), &mut notifier, |found| {
                files.extend(found);
            });
        (scan, files)
    }

    #[test]
    fn an_empty_place_of_a_disk_is_no_deletion() {
        let dir = tempfile::tempdir().unwrap();
        let (models, disk) = (dir.path().join("models"), dir.path().join("models/disk"));
        fs::create_dir_all(&disk).unwrap();
        let look = || {
            let dirs = std::slice::from_ref(&models);
            let mut notifier = Notifier::new(|_| {});
            let scan =
                super::scan(dirs, &ignored(&[]), &[disk.clone()].into(), &mut notifier, drop);
            (scan.incomplete, scan.mounts.contains(&disk), scan.problems.contains_key(&models))
        };
        assert_eq!(look(), (true, true, true));
        fs::write(disk.join("a.safetensors"), "x").unwrap();
        assert_eq!(look(), (false, false, false), "it is an ordinary folder now");
        fs::remove_dir_all(&disk).unwrap();
        assert_eq!(look(), (false, false, false), "it is gone");
    }

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
        symlink("itself.safetensors", models.join("itself.safetensors")).unwrap();
        symlink("../a.safetensors", models.join("sub/soft.safetensors")).unwrap();
        fs::hard_link(models.join("a.safetensors"), models.join("sub/hard.safetensors")).unwrap();

        let (scan, files) = scan(std::slice::from_ref(&models));

        let found: Vec<_> = files.keys().map(|path| path.strip_prefix(&models).unwrap()).collect();
        assert_eq!(
            found,
            [
                Path::new("a.safetensors"),
                Path::new("link/b.ckpt"),
                Path::new("sub/hard.safetensors"),
                Path::new("sub/soft.safetensors")
            ]
        );
        assert_eq!(
            files[&models.join("a.safetensors")],
            files[&models.join("sub/hard.safetensors")]
        );
        assert!(scan.problems.is_empty(), "{:?}", scan.problems);
        assert!(!scan.incomplete);
    }

    #[test]
    fn a_folder_that_is_not_there_is_a_problem_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let (here, gone) = (dir.path().join("here"), dir.path().join("gone"));
        // No file system takes such a name: looking fails, as it does without the right to.
        let hidden = dir.path().join("f".repeat(300));
        fs::create_dir(&here).unwrap();
        fs::write(here.join("a.safetensors"), "x").unwrap();
        let (scan, files) = scan(&[gone.clone(), hidden.clone(), here]);
        assert_eq!(files.len(), 1);
        assert!(scan.problems[&gone].contains("does not exist"));
        assert!(scan.problems[&hidden].contains("can't be listed"));
        assert!(scan.incomplete);
    }

    /// What is found below `models`, as seen from there.
    fn found(models: &Path, own: &[&str]) -> (Vec<String>, Aliases) {
        let mut files = Vec::new();
        let (dirs, mut notifier) = ([models.to_owned()], Notifier::new(|_| {}));
        let scan = super::scan(&dirs, &ignored(own), &BTreeSet::new(), &mut notifier, |found| {
            files.extend(found.into_iter().map(|(path, _)| {
                path.strip_prefix(models).unwrap().to_string_lossy().into_owned()
            }));
        });
        files.sort_unstable();
        (files, scan.aliases)
    }

    #[test]
    fn trash_and_versions_are_left_out_unless_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let models = dir.path();
        for name in [
            "a.safetensors",
            ".Trash-1000/files/b.safetensors",
            ".stversions/c.safetensors",
            "sub/@eaDir/d.safetensors",
            "sub/._e.safetensors",
            "sub/f.safetensors",
            "old/g.safetensors",
        ] {
            let path = models.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        fs::write(models.join("empty.safetensors"), "").unwrap();
        symlink("a.safetensors", models.join("._link.safetensors")).unwrap();
        symlink("old", models.join(".link")).unwrap();
        let all = |own: &[&str]| found(models, own).0;
        assert_eq!(all(&[]), ["a.safetensors", "old/g.safetensors", "sub/f.safetensors"]);
        assert_eq!(all(&["/old/", "f.*"]), ["a.safetensors"]);
        let given_back = ["a.safetensors", "old/g.safetensors", "sub/@eaDir/d.safetensors"];
        assert_eq!(all(&["!@eaDir/", "/sub/f.*"]), given_back);
    }

    #[test]
    fn links_among_folders_multiply_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let models = dir.path();
        fs::create_dir_all(models.join("deep/er/real")).unwrap();
        fs::create_dir_all(models.join("b")).unwrap();
        fs::write(models.join("deep/er/real/a.safetensors"), "x").unwrap();
        fs::write(models.join("b/b.safetensors"), "x").unwrap();
        for (link, to) in [
            ("b/around", ".."),
            ("b/self", "."),
            ("long-link", "deep/er/real"),
            ("link", "deep/er/real"),
            ("deep/to-b", "../b"),
            ("deep/er/real/back", "../../.."),
        ] {
            symlink(to, models.join(link)).unwrap();
        }
        let (files, aliases) = found(models, &[]);
        assert_eq!(files, ["b/b.safetensors", "link/a.safetensors"]);
        for (path, listed) in [
            ("deep/er/real/a.safetensors", "link/a.safetensors"),
            ("long-link/a.safetensors", "link/a.safetensors"),
            ("b/around/b/self/b.safetensors", "b/b.safetensors"),
            ("deep/er/real/back/deep/to-b/b.safetensors", "b/b.safetensors"),
        ] {
            assert_eq!(aliases.listed(&models.join(path)), Some(models.join(listed)), "{path}");
        }
        assert_eq!(aliases.listed(&models.join("b/b.safetensors")), None);
    }
}
