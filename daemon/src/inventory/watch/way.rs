//! Where a path leads, link by link: what it leads through may be moved away, replaced or led elsewhere.

use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
};

use rustix::io::Errno;

/// As many links as the kernel follows.
const LINKS: usize = 40;

/// Where a path leads.
#[derive(Debug)]
pub(super) struct Way {
    /// Each folder on the way, by its real path, with the name that is looked up in it.
    pub(super) steps: Vec<(PathBuf, OsString)>,
    /// What was found at each step that led on: device and inode.
    pub(super) trail: Vec<(u64, u64)>,
    pub(super) end: End,
}

/// Where a way ends.
#[derive(Debug)]
pub(super) enum End {
    /// At what has this real path.
    At(PathBuf),
    /// Something is not there: the last folder that is, and what the path would be.
    Missing { folder: PathBuf, wanted: PathBuf },
    /// Something can't be looked at.
    Failed { wanted: PathBuf },
}

impl Way {
    /// Follows `path`, which is absolute, to its end.
    pub(super) fn of(path: &Path) -> Self {
        let mut rest: VecDeque<OsString> = names(path);
        let (mut real, mut links) = (PathBuf::from("/"), 0);
        let (mut steps, mut trail) = (Vec::new(), Vec::new());
        let end = loop {
            let Some(name) = rest.pop_front() else { break End::At(real) };
            if name == ".." {
                real.pop();
                continue;
            }
            let next = real.join(&name);
            steps.push((real.clone(), name));
            let wanted = || rest.iter().fold(next.clone(), |path, name| path.join(name));
            let found = fs::symlink_metadata(&next).and_then(|metadata| {
                let target = metadata.is_symlink().then(|| fs::read_link(&next)).transpose()?;
                Ok((metadata, target))
            });
            match found {
                Ok((metadata, target)) => {
                    trail.push((metadata.dev(), metadata.ino()));
                    let Some(target) = target else {
                        real = next;
                        continue;
                    };
                    links += 1;
                    if links > LINKS {
                        break End::Missing { folder: real, wanted: wanted() };
                    }
                    if target.is_absolute() {
                        real = PathBuf::from("/");
                    }
                    for name in names(&target).into_iter().rev() {
                        rest.push_front(name);
                    }
                }
                Err(error) if is_nothing(&error) => {
                    break End::Missing { folder: real, wanted: wanted() };
                }
                Err(_) => break End::Failed { wanted: wanted() },
            }
        };
        Self { steps, trail, end }
    }

    /// What the path is or would be without links.
    pub(super) fn target(&self) -> &Path {
        match &self.end {
            End::At(path) => path,
            End::Missing { wanted, .. } | End::Failed { wanted } => wanted,
        }
    }
}

/// Nothing lies there, and that is certain.
pub(super) fn is_nothing(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP))
}

fn names(path: &Path) -> VecDeque<OsString> {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name),
        Component::ParentDir => Some(OsStr::new("..")),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    });
    names.map(OsStr::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_way_leads_through_folders_and_links() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let at = |name: &str| root.join(name);
        fs::create_dir_all(at("disk/deep/models")).unwrap();
        fs::create_dir(at("home")).unwrap();
        symlink("../disk/./deep", at("home/relative")).unwrap();
        symlink(at("home/relative/models"), at("home/absolute")).unwrap();
        symlink(at("disk/gone/models"), at("home/dangling")).unwrap();
        symlink("loop", at("home/loop")).unwrap();
        fs::write(at("disk/file"), "x").unwrap();
        // Where it leads, what was passed below the folder of the test, and the last folder if it leads nowhere.
        type Row<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], Option<&'a str>);
        let rows: [Row<'_>; 6] = [
            ("disk/deep", "disk/deep", &[("", "disk"), ("disk", "deep")], None),
            (
                "home/absolute",
                "disk/deep/models",
                &[
                    ("", "home"),
                    ("home", "absolute"),
                    ("", "home"),
                    ("home", "relative"),
                    ("", "disk"),
                    ("disk", "deep"),
                    ("disk/deep", "models"),
                ],
                None,
            ),
            (
                "home/dangling/sub",
                "disk/gone/models/sub",
                &[("", "home"), ("home", "dangling"), ("", "disk"), ("disk", "gone")],
                Some("disk"),
            ),
            ("new/deep/models", "new/deep/models", &[("", "new")], Some("")),
            (
                "disk/file/x",
                "disk/file/x",
                &[("", "disk"), ("disk", "file"), ("disk/file", "x")],
                Some("disk/file"),
            ),
            (
                "disk/deep/../file",
                "disk/file",
                &[("", "disk"), ("disk", "deep"), ("disk", "file")],
                None,
            ),
        ];
        for (path, target, passed, missing) in rows {
            let way = Way::of(&at(path));
            assert_eq!(way.target(), at(target), "{path}");
            let below = |(folder, name): &(PathBuf, OsString)| {
                let folder = folder.strip_prefix(&root).ok()?;
                Some((folder.to_owned(), name.clone()))
            };
            let found: Vec<_> = way.steps.iter().filter_map(below).collect();
            let expected: Vec<_> =
                passed.iter().map(|(folder, name)| ((*folder).into(), (*name).into())).collect();
            assert_eq!(found, expected, "{path}");
            let last = match way.end {
                End::Missing { folder, .. } => Some(folder),
                _ => None,
            };
            assert_eq!(last, missing.map(|name| root.join(name).components().collect()), "{path}");
        }
        assert!(matches!(Way::of(&at("home/loop")).end, End::Missing { .. }));
        // No file system takes such a name: looking fails, as it does without the right to.
        assert!(matches!(Way::of(&at(&"f".repeat(300))).end, End::Failed { .. }));
    }

    #[test]
    fn another_folder_at_the_same_path_is_another_trail() {
        let dir = tempfile::tempdir().unwrap();
        let models = dir.path().join("around/models");
        fs::create_dir_all(&models).unwrap();
        let trail = Way::of(&models).trail;
        fs::rename(dir.path().join("around"), dir.path().join("aside")).unwrap();
        fs::create_dir_all(&models).unwrap();
        assert_ne!(Way::of(&models).trail, trail);
    }
}
