//! Disks mounted below the models folders: one that is not mounted looks like an empty folder, and
//! must not be taken for thousands of deletions.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

/// What lies where a disk was mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lies {
    /// Nothing, in a folder that is there.
    Nothing,
    /// Nothing, and what should be around it is not there either.
    NotEvenAround,
    /// What does not answer, such as a network disk whose connection is lost.
    Silence,
    /// A link to nowhere.
    DanglingLink,
    /// A folder with nothing in it, or only with a note.
    EmptyFolder,
    /// Something else.
    Something,
}

/// Which of the places in `known`, where disks were mounted, are waiting for their disks now that those
/// in `mounted` are there.
pub(super) fn absent(known: &BTreeSet<PathBuf>, mounted: &BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
    let waiting = known.difference(mounted).filter(|place| is_waiting(look(place)));
    waiting.cloned().collect()
}

/// Whoever removes the folder, or puts something else there, means it.
fn is_waiting(lies: Lies) -> bool {
    !matches!(lies, Lies::Nothing | Lies::Something)
}

fn look(place: &Path) -> Lies {
    let metadata = match fs::symlink_metadata(place) {
        Ok(metadata) => metadata,
        Err(error) => {
            return match error.kind() {
                ErrorKind::NotADirectory => Lies::Nothing,
                ErrorKind::NotFound if place.parent().is_some_and(Path::exists) => Lies::Nothing,
                ErrorKind::NotFound => Lies::NotEvenAround,
                _ => Lies::Silence,
            };
        }
    };
    if metadata.is_symlink() && !place.exists() {
        return Lies::DanglingLink;
    }
    if is_bare(place) { Lies::EmptyFolder } else { Lies::Something }
}

/// Whether a folder is as a disk leaves it that is not mounted: empty, but for a note that says so.
pub(super) fn is_bare(folder: &Path) -> bool {
    let is_no_note = |entry: io::Result<fs::DirEntry>| {
        entry.is_ok_and(|entry| {
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            !is_file || checkpoint::is_checkpoint_name(entry.file_name().as_ref())
        })
    };
    fs::read_dir(folder).is_ok_and(|mut listing| !listing.any(is_no_note))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_left_tells_a_disk_that_is_away_from_one_that_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for folder in ["empty", "note", "checkpoint", "mounted", "used/folder"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        fs::write(at("note/NOT MOUNTED.txt"), "x").unwrap();
        fs::write(at("checkpoint/a.safetensors"), "x").unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        symlink("used", at("link")).unwrap();
        fs::write(at("file"), "x").unwrap();
        // No file system takes such a name: looking fails, as it does at a server that is away.
        let failing = "f".repeat(300);
        let waiting = ["empty", "note", "dangling", "removed/below", &failing];
        let others = ["mounted", "checkpoint", "used", "link", "removed", "file", "file/below"];
        let known = waiting.into_iter().chain(others).map(at).collect();
        assert_eq!(absent(&known, &[at("mounted")].into()), waiting.map(at).into());
    }
}
