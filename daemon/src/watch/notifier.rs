use std::{
    collections::HashMap,
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

use notify::{
    Config, ErrorKind, Event, EventKind, INotifyWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode, ModifyKind},
};
use tracing::warn;

/// Why it is time to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// This file was written to.
    Written(PathBuf),
    /// Something came, went or moved, or events were lost: only a scan tells.
    Moved,
}

/// Watches the models folders through inotify.
pub struct Notifier {
    watcher: Option<INotifyWatcher>,
    /// Each watched folder by what lay at its path then.
    watched: HashMap<PathBuf, Folder>,
}

/// What tells a folder from another that takes its place, which may even get its inode.
#[derive(Debug, PartialEq, Eq)]
struct Folder {
    device: u64,
    inode: u64,
    /// Absent on file systems that don't keep it.
    created: Option<SystemTime>,
}

impl From<&Metadata> for Folder {
    fn from(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino(), created: metadata.created().ok() }
    }
}

impl Notifier {
    /// Calls `hear` on a thread of its own once folders are watched.
    pub fn new(hear: impl Fn(Hint) + Send + 'static) -> Self {
        let hear = move |event| hints_of(event).into_iter().for_each(&hear);
        let watcher = INotifyWatcher::new(hear, Config::default());
        let watcher = watcher
            .inspect_err(|error| warn!("no inotify, changes show at the next scan: {error}"))
            .ok();
        Self { watcher, watched: HashMap::new() }
    }

    /// Watches what lies at `dir` now, unless it does already.
    ///
    /// # Errors
    /// What is wrong and what to do, as text for `status`.
    pub fn watch(&mut self, dir: &Path) -> Result<(), String> {
        let Some(watcher) = &mut self.watcher else {
            return Err("inotify is not available; changes show at the next full scan".to_owned());
        };
        let Ok(now) = fs::metadata(dir).map(|metadata| Folder::from(&metadata)) else {
            self.watched.remove(dir);
            return Ok(());
        };
        if self.watched.get(dir) == Some(&now) {
            return Ok(());
        }
        // Another folder lies there now: the old watch may outlive the folder it was for.
        let _ = watcher.unwatch(dir);
        watcher.watch(dir, RecursiveMode::Recursive).map_err(|error| describe(dir, &error))?;
        self.watched.insert(dir.to_owned(), now);
        Ok(())
    }
}

fn describe(dir: &Path, error: &notify::Error) -> String {
    let dir = dir.display();
    match &error.kind {
        ErrorKind::MaxFilesWatch => format!(
            "{dir} has more folders than inotify may watch, changes show at the next full scan; \
             raise the limit: sysctl fs.inotify.max_user_watches=1048576"
        ),
        _ => format!("{dir} can't be watched ({error}); changes show at the next full scan"),
    }
}

fn hints_of(event: notify::Result<Event>) -> Vec<Hint> {
    let event = match event {
        Ok(event) => event,
        Err(error) => {
            warn!("inotify: {error}");
            return vec![Hint::Moved];
        }
    };
    if event.need_rescan() {
        return vec![Hint::Moved];
    }
    match event.kind {
        EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Metadata(_))
        | EventKind::Access(AccessKind::Close(AccessMode::Write)) => {
            let written = event.paths.into_iter();
            written.filter(|path| checkpoint::is_checkpoint_name(path)).map(Hint::Written).collect()
        }
        EventKind::Access(_) => Vec::new(),
        _ => vec![Hint::Moved],
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use notify::event::{CreateKind, DataChange, Flag, RenameMode};

    use super::*;

    #[test]
    fn events_become_hints() {
        let event = |kind| Ok(Event::new(kind).add_path("/m/a.safetensors".into()));
        let written = vec![Hint::Written("/m/a.safetensors".into())];
        let table = [
            (event(EventKind::Modify(ModifyKind::Data(DataChange::Any))), written.clone()),
            (event(EventKind::Access(AccessKind::Close(AccessMode::Write))), written),
            (event(EventKind::Access(AccessKind::Open(AccessMode::Read))), vec![]),
            (event(EventKind::Create(CreateKind::File)), vec![Hint::Moved]),
            (event(EventKind::Modify(ModifyKind::Name(RenameMode::From))), vec![Hint::Moved]),
            (Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan)), vec![Hint::Moved]),
            (Err(notify::Error::generic("lost")), vec![Hint::Moved]),
        ];
        for (event, hints) in table {
            let shown = format!("{event:?}");
            assert_eq!(hints_of(event), hints, "{shown}");
        }
    }

    #[test]
    fn a_folder_that_comes_back_is_watched_again() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("models");
        let (sender, hints) = mpsc::channel();
        let mut notifier = Notifier::new(move |hint| sender.send(hint).unwrap());
        for _ in 0..2 {
            fs::create_dir(&dir).unwrap();
            notifier.watch(&dir).unwrap();
            fs::write(dir.join("a.safetensors"), "x").unwrap();
            while hints.recv().unwrap() != Hint::Written(dir.join("a.safetensors")) {}
            fs::remove_dir_all(&dir).unwrap();
            while hints.try_recv().is_ok() {}
        }
    }
}
