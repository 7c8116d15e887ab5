//! The control groups that a process is in, from its own up to the root that is visible here.

use std::path::{Path, PathBuf};

/// How a control group's files are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    One,
    Two,
}

/// A control group's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) version: Version,
    pub(crate) dir: PathBuf,
}

/// The groups whose `controller` counts a process, by its `/proc/PID/cgroup` and this process's mounts.
pub(crate) fn chain(root: &Path, groups: &str, mounts: &str, controller: &str) -> Vec<Group> {
    let mut chain = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let version = if controllers.is_empty() { Version::Two } else { Version::One };
        if version == Version::One && !controllers.split(',').any(|name| name == controller) {
            continue;
        }
        let mounted = mounts.lines().filter_map(Mount::parse);
        let is_it = |mount: &Mount<'_>| match version {
            Version::Two => mount.kind == "cgroup2",
            Version::One => {
                mount.kind == "cgroup" && mount.options.split(',').any(|name| name == controller)
            }
        };
        for mount in mounted.filter(is_it) {
            let top = root.join(mount.place.trim_start_matches('/'));
            // What is mounted may begin at the group itself, as Docker has it, and a group beside it is not visible.
            let below = Path::new(path).strip_prefix(mount.root).unwrap_or(Path::new(""));
            let own = top.join(below);
            let dirs = own.ancestors().take_while(|dir| dir.starts_with(&top));
            chain.extend(dirs.map(|dir| Group { version, dir: dir.to_owned() }));
        }
    }
    chain
}

/// A line of `/proc/self/mountinfo`.
struct Mount<'a> {
    root: &'a str,
    place: &'a str,
    kind: &'a str,
    options: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (place, kind) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(3);
        let mut kind = kind.split(' ');
        Some(Self {
            root: place.next()?,
            place: place.next()?,
            kind: kind.next()?,
            options: kind.nth(1).unwrap_or_default(),
        })
    }
}
