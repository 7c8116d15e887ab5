//! Where people and launchers put web UIs.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Depth of the search for web UIs below a home or a disk: enough for `~/ai/webui`, and quick.
const DEPTH: usize = 2;

/// Where launchers put them, below a home, a folder for programs or a disk: the folder that holds web UIs, and how deep
/// they may be in it.
const LAUNCHERS: [(&str, usize); 9] = [
    // Stability Matrix, as its installer and in its portable form.
    ("StabilityMatrix/Data/Packages", 1),
    ("StabilityMatrix/Packages", 1),
    (".local/share/StabilityMatrix/Packages", 1),
    (".local/share/StabilityMatrix/Data/Packages", 1),
    (".config/StabilityMatrix/Packages", 1),
    // Pinokio: `api/NAME.git/app`.
    ("pinokio/api", 2),
    (".pinokio/api", 2),
    // Data folders of programs, and of Flatpak and Snap.
    (".local/share", 2),
    (".local/opt", 2),
];

/// Folders for programs, beside homes.
const ELSEWHERE: [&str; 3] = ["/opt", "/srv", "/usr/local"];

/// Below these other disks are mounted: `/mnt/DISK`, `/media/USER/DISK`.
const DISKS: [(&str, usize); 3] = [("/mnt", 0), ("/media", 1), ("/run/media", 1)];

/// Names of folders in which no web UI is, and a great deal else may be.
const SKIPPED: [&str; 6] = ["node_modules", "venv", "site-packages", "models", "proc", "sys"];

/// Folders that may be a web UI's, of which each is there once, whatever links lead to it. `is_it` says whether one is,
/// and then nothing inside of it is looked at.
pub(super) fn search(home: &Path, is_it: impl FnMut(&Path) -> bool) {
    let mut search = Search { seen: BTreeSet::new(), is_it };
    let everywhere = ELSEWHERE.iter().map(PathBuf::from);
    for base in std::iter::once(home.to_owned()).chain(everywhere).chain(disks()) {
        for (launcher, depth) in LAUNCHERS {
            search.below(&base.join(launcher), depth);
        }
        search.below(&base, DEPTH);
    }
}

/// The disks that are mounted where people mount them.
fn disks() -> Vec<PathBuf> {
    let mut disks = Vec::new();
    for (dir, depth) in DISKS {
        let mut level = vec![PathBuf::from(dir)];
        for _ in 0..=depth {
            level = level.iter().flat_map(|dir| folders(dir)).collect();
        }
        disks.extend(level);
    }
    disks
}

fn folders(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    // A link to a folder is as good as one.
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

struct Search<F> {
    /// Real paths of folders that were looked at, and how deep it was looked below them.
    seen: BTreeSet<(PathBuf, usize)>,
    is_it: F,
}

impl<F: FnMut(&Path) -> bool> Search<F> {
    fn below(&mut self, dir: &Path, depth: usize) {
        for path in folders(dir) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with('.') || SKIPPED.contains(&&*name) {
                continue;
            }
            let Ok(real) = fs::canonicalize(&path) else { continue };
            if !self.seen.insert((real.clone(), depth)) || (self.is_it)(&real) {
                continue;
            }
            // A launcher that was unpacked anywhere keeps them inside.
            self.below(&real.join("Data/Packages"), 1);
            if depth > 1 {
                self.below(&real, depth - 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn web_uis_are_found_where_people_and_launchers_put_them() {
        let temp = tempfile::tempdir().unwrap();
        let home = temp.path().canonicalize().unwrap().join("home");
        let other = home.with_file_name("disk");
        let places = [
            "stable-diffusion-webui",
            "ai/webui",
            "StabilityMatrix/Data/Packages/Stable Diffusion WebUI",
            ".local/share/StabilityMatrix/Packages/reForge",
            "pinokio/api/automatic1111.git/app",
            ".local/share/webui",
            "Downloads/StabilityMatrix-linux/Data/Packages/webui",
        ];
        for place in places {
            fs::create_dir_all(home.join(place).join("modules")).unwrap();
            fs::write(home.join(place).join("mark"), "").unwrap();
        }
        for linked in ["linked", "apps/also"] {
            fs::create_dir_all(other.join(linked)).unwrap();
            fs::write(other.join(linked).join("mark"), "").unwrap();
        }
        symlink(other.join("linked"), home.join("by-link")).unwrap();
        symlink(other.join("linked"), home.join("by-another-link")).unwrap();
        symlink(other.join("apps"), home.join("programs")).unwrap();
        symlink(&home, home.join("loop")).unwrap();
        let mut found = Vec::new();
        search(&home, |dir| {
            let is_it =
                dir.join("mark").exists() && dir.starts_with(temp.path().canonicalize().unwrap());
            if is_it {
                found.push(dir.to_owned());
            }
            is_it
        });
        found.sort();
        found.dedup();
        let mut expected: Vec<_> = places.iter().map(|place| home.join(place)).collect();
        expected.extend([other.join("linked"), other.join("apps/also")]);
        expected.sort();
        assert_eq!(found, expected);
    }
}
