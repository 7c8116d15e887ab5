//! Disks mounted below the models folders: one that is not mounted looks like an empty folder, and
//! must not be taken for thousands of deletions.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// What lies where a disk was mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lies {
    /// Nothing, in a folder that is there.
    Nothing,
    /// Nothing, and what should be around it is not there either.
    NotEvenAround,
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
    matches!(lies, Lies::NotEvenAround | Lies::DanglingLink | Lies::EmptyFolder)
}

fn look(place: &Path) -> Lies {
    let Ok(metadata) = fs::symlink_metadata(place) else {
        let around = place.parent().is_some_and(Path::exists);
        return if around { Lies::Nothing } else { Lies::NotEvenAround };
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
        for folder in ["empty", "mounted", "used/file"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        symlink("nowhere", at("dangling")).unwrap();
        symlink("used", at("link")).unwrap();
        let names = ["empty", "mounted", "used", "dangling", "link", "removed", "removed/below"];
        let known = names.map(at).into();
        let absent = absent(&known, &[at("mounted")].into());
        assert_eq!(absent, ["empty", "dangling", "removed/below"].map(at).into());
    }
}
