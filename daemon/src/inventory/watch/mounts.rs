//! Disks mounted below the models folders: one that is not mounted looks like an empty folder, and
//! must not be taken for thousands of deletions.

use std::{
    collections::BTreeSet,
    fs,
    io::ErrorKind,
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
    /// A folder with nothing in it.
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
    match fs::read_dir(place).map(|mut listing| listing.next().is_none()) {
        Ok(true) => Lies::EmptyFolder,
        _ => Lies::Something,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_left_tells_a_disk_that_is_away_from_one_that_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for folder in ["empty", "mounted", "used/folder"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        symlink("nowhere", at("dangling")).unwrap();
        symlink("used", at("link")).unwrap();
        fs::write(at("file"), "x").unwrap();
        // No file system takes such a name: looking fails, as it does at a server that is away.
        let failing = "f".repeat(300);
        let waiting = ["empty", "dangling", "removed/below", &failing];
        let others = ["mounted", "used", "link", "removed", "file", "file/below"];
        let known = waiting.into_iter().chain(others).map(at).collect();
        assert_eq!(absent(&known, &[at("mounted")].into()), waiting.map(at).into());
    }
}
