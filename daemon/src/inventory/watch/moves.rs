//! What events mean, of which two make a rename.

use std::{
    collections::HashMap,
    ffi::OsStr,
    path::{Path, PathBuf},
};

use rustix::{event::Timespec, fs::inotify::ReadFlags};

use super::Hint;

/// The other half of a rename comes right after the first, or never.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// Events about the content of one file.
const WRITES: ReadFlags = ReadFlags::MODIFY.union(ReadFlags::CLOSE_WRITE);

/// What has left its place and may come to another.
#[derive(Debug, Default)]
pub(super) struct Moves {
    /// Where it was, by the kernel's number for the rename.
    left: HashMap<u32, PathBuf>,
}

impl Moves {
    /// How long to wait for the next event before [`Self::give_up`]; `None` for as long as it takes.
    pub(super) fn patience(&self) -> Option<&'static Timespec> {
        (!self.left.is_empty()).then_some(&PATIENCE)
    }

    /// What has left and come nowhere went away.
    pub(super) fn give_up(&mut self) -> impl Iterator<Item = Hint> {
        self.left.drain().map(|(_, path)| Hint::Left(path))
    }

    /// What an event about `name` in a folder means.
    pub(super) fn take(
        &mut self,
        events: ReadFlags,
        cookie: u32,
        name: Option<&OsStr>,
        folder: &impl Fn() -> Option<PathBuf>,
    ) -> Vec<Hint> {
        let is_folder = events.contains(ReadFlags::ISDIR);
        let is_wanted = |name: &OsStr| is_folder || checkpoint::is_checkpoint_name(Path::new(name));
        let name = name.filter(|name| is_wanted(name));
        let path = || Some(folder()?.join(name?));
        if events.contains(ReadFlags::IGNORED) {
            return Vec::new();
        }
        if events.contains(ReadFlags::UNMOUNT) {
            return vec![Hint::Unmounted];
        }
        if events.intersects(ReadFlags::MOVED_FROM | ReadFlags::MOVED_TO) {
            let is_end = events.contains(ReadFlags::MOVED_TO);
            let from = self.left.remove(&cookie).filter(|_| is_end);
            // What has left before and has not come by now went away, and may be what comes next.
            let mut hints: Vec<Hint> = self.give_up().collect();
            match (from, path()) {
                (Some(from), Some(to)) => hints.push(Hint::Renamed { from, to }),
                // Under that name nobody sees what is done to it.
                (Some(from), None) => hints.push(Hint::Left(from)),
                (None, path) if !is_end => self.left.extend(path.map(|path| (cookie, path))),
                (None, _) => {}
            }
            hints.push(Hint::Moved);
            return hints;
        }
        // Rights that a folder is given show what lies in it, those that are taken hide it.
        if is_folder || !events.intersects(WRITES | ReadFlags::ATTRIB) {
            return vec![Hint::Moved];
        }
        let Some(name) = name else { return Vec::new() };
        let Some(folder) = folder() else { return vec![Hint::Moved] };
        let path = folder.join(name);
        let is_written = events.intersects(WRITES);
        vec![if is_written { Hint::Written(path) } else { Hint::Touched(path) }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: Option<&str> = Some("a.safetensors");

    fn take(moves: &mut Moves, events: ReadFlags, name: Option<&str>) -> Vec<Hint> {
        moves.take(events, 7, name.map(OsStr::new), &|| Some("/m".into()))
    }

    #[test]
    fn events_become_hints() {
        let written = || Some(Hint::Written("/m/a.safetensors".into()));
        let touched = Some(Hint::Touched("/m/a.safetensors".into()));
        let other = Some("a.png");
        for (events, name, hint) in [
            (ReadFlags::MODIFY, FILE, written()),
            (ReadFlags::CLOSE_WRITE, FILE, written()),
            (ReadFlags::ATTRIB, FILE, touched),
            (ReadFlags::MODIFY, other, None),
            (ReadFlags::ATTRIB | ReadFlags::ISDIR, None, Some(Hint::Moved)),
            (ReadFlags::ATTRIB | ReadFlags::ISDIR, Some("folder"), Some(Hint::Moved)),
            (ReadFlags::CREATE, FILE, Some(Hint::Moved)),
            (ReadFlags::CREATE | ReadFlags::ISDIR, Some("folder"), Some(Hint::Moved)),
            (ReadFlags::MOVED_FROM, FILE, Some(Hint::Moved)),
            (ReadFlags::MOVE_SELF, None, Some(Hint::Moved)),
            (ReadFlags::UNMOUNT, None, Some(Hint::Unmounted)),
            (ReadFlags::QUEUE_OVERFLOW, None, Some(Hint::Moved)),
            (ReadFlags::IGNORED, None, None),
        ] {
            let found = take(&mut Moves::default(), events, name);
            assert_eq!(found, Vec::from_iter(hint), "{events:?} {name:?}");
        }
        let unknown = Moves::default().take(ReadFlags::MODIFY, 0, FILE.map(OsStr::new), &|| None);
        assert_eq!(unknown, [Hint::Moved]);
    }

    #[test]
    fn two_events_make_a_rename() {
        let left = || Hint::Left("/m/a.safetensors".into());
        let renamed =
            Hint::Renamed { from: "/m/a.safetensors".into(), to: "/m/b.safetensors".into() };
        for (what, second, hint) in [
            ("renamed", Some((7, "b.safetensors")), Some(renamed)),
            ("renamed to what is no checkpoint's name", Some((7, "a.bak")), Some(left())),
            ("gone, and another came", Some((8, "b.safetensors")), Some(left())),
            ("gone", None, None),
        ] {
            let mut moves = Moves::default();
            assert_eq!(take(&mut moves, ReadFlags::MOVED_FROM, FILE), [Hint::Moved]);
            assert!(moves.patience().is_some());
            if let Some((cookie, name)) = second {
                let folder = || Some("/m".into());
                let found =
                    moves.take(ReadFlags::MOVED_TO, cookie, Some(OsStr::new(name)), &folder);
                let expected: Vec<_> = hint.clone().into_iter().chain([Hint::Moved]).collect();
                assert_eq!(found, expected, "{what}");
            }
            let gone: Vec<_> = moves.give_up().collect();
            assert_eq!(gone, Vec::from_iter(hint.is_none().then(left)), "{what}");
            assert!(moves.patience().is_none());
        }
    }
}
