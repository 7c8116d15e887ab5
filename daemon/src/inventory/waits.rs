//! Why a file that has not changed for a while is not read yet.

use std::{
    collections::{HashMap, HashSet},
    ffi::{OsStr, OsString},
    fmt, fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::{FileId, Stamp};

/// A file that has not changed for this long is read although a process has it open for writing, as programs
/// that seed or edit do for hours; if a paused copy goes on later, it is read again.
pub const OPEN_LIMIT: Duration = Duration::from_secs(600);

/// Files that downloaders put beside an incomplete file, or beside its folder, and remove at the end: aria2,
/// axel, lftp, Xunlei.
const CONTROL: [&str; 5] = ["aria2", "aria2__temp", "st", "lftp-pget-status", "td.cfg"];

/// Files that they put beside the destination with the part downloaded so far. One that is no longer written
/// to was left behind.
const PARTIAL: [&str; 13] = [
    "part",
    "partial",
    "crdownload",
    "download",
    "opdownload",
    "fdmdownload",
    "downloading",
    "incomplete",
    "filepart",
    "!qb",
    "!ut",
    "bc!",
    "jc!",
];

/// What a file waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waits {
    /// A process has it open for writing.
    Writer,
    /// This file says that it is being downloaded.
    Download(PathBuf),
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Writer => write!(
                f,
                "a program has it open for writing; it is read once that closes it, or {} minutes after the last \
                 change",
                OPEN_LIMIT.as_secs() / 60
            ),
            Self::Download(control) => write!(
                f,
                "its download is not done, as {} is beside it; remove that if it was left behind",
                control.display()
            ),
        }
    }
}

/// Checks what is beside files, and which processes have them open.
pub(super) struct Looks<'a> {
    models_dirs: &'a [PathBuf],
    writers: &'a HashSet<FileId>,
    now: SystemTime,
    /// The files in each folder whose names show a download, by name in lower case.
    listed: HashMap<PathBuf, HashMap<OsString, PathBuf>>,
}

impl<'a> Looks<'a> {
    pub(super) fn new(models_dirs: &'a [PathBuf], writers: &'a HashSet<FileId>) -> Self {
        Self { models_dirs, writers, now: SystemTime::now(), listed: HashMap::new() }
    }

    /// Returns what the file at these paths waits for before it is read.
    pub(super) fn at(&mut self, stamp: &Stamp, paths: &[impl AsRef<Path>]) -> Option<Waits> {
        if let Some(control) = paths.iter().find_map(|path| self.control(path.as_ref())) {
            return Some(Waits::Download(control));
        }
        let is_open = self.writers.contains(&stamp.file());
        (is_open && self.is_fresh(stamp.mtime_ns)).then_some(Waits::Writer)
    }

    /// Whether it is recent, or in the future by a wrong clock.
    fn is_fresh(&self, mtime_ns: i128) -> bool {
        let now = self.now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        now.as_nanos() as i128 - mtime_ns < OPEN_LIMIT.as_nanos() as i128
    }

    fn control(&mut self, path: &Path) -> Option<PathBuf> {
        let dirs = self.models_dirs;
        let is_within = |path: &&Path| dirs.iter().any(|dir| path.starts_with(dir) && *path != dir);
        let mut around = path.ancestors().skip(1).take_while(is_within);
        let beside = self.beside(path, &PARTIAL).filter(|partial| {
            let metadata = partial.metadata().ok();
            let modified = metadata.and_then(|metadata| metadata.modified().ok());
            let age = modified.and_then(|modified| self.now.duration_since(modified).ok());
            age.is_none_or(|age| age < OPEN_LIMIT)
        });
        beside
            .or_else(|| self.beside(path, &CONTROL))
            .or_else(|| around.find_map(|folder| self.beside(folder, &CONTROL)))
    }

    /// Returns the file named like `path` with one of these `endings`.
    fn beside(&mut self, path: &Path, endings: &[&str]) -> Option<PathBuf> {
        let (folder, name) = (path.parent()?, path.file_name()?.to_ascii_lowercase());
        let listed = self.listed.entry(folder.to_owned()).or_insert_with(|| telling(folder));
        if listed.is_empty() {
            return None;
        }
        endings.iter().find_map(|ending| {
            let mut name = name.clone();
            name.push(".");
            name.push(ending);
            listed.get(&name).cloned()
        })
    }
}

fn telling(folder: &Path) -> HashMap<OsString, PathBuf> {
    let is_telling = |name: &OsStr| {
        let name = name.as_encoded_bytes();
        CONTROL.iter().chain(&PARTIAL).any(|ending| {
            let rest = name.len().checked_sub(ending.len() + 1).map(|at| &name[at..]);
            rest.is_some_and(|rest| rest[0] == b'.' && rest[1..] == *ending.as_bytes())
        })
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let entries = entries.map(|entry| (entry.file_name().to_ascii_lowercase(), entry.path()));
    entries.filter(|(name, _)| is_telling(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "pack/sub/Model X.safetensors";

    fn waits(beside: &str, is_old: bool, is_open: bool) -> Option<Waits> {
        let dir = tempfile::tempdir().unwrap();
        let (models, file) = (dir.path().join("models"), dir.path().join("models").join(NAME));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "x").unwrap();
        let old = SystemTime::now() - OPEN_LIMIT * 2;
        let beside = dir.path().join("models").join(beside);
        if beside != models {
            let partial = fs::File::create(&beside).unwrap();
            partial.set_modified(if is_old { old } else { SystemTime::now() }).unwrap();
        }
        if is_old {
            fs::File::options().append(true).open(&file).unwrap().set_modified(old).unwrap();
        }
        let stamp = Stamp::of(&file).unwrap();
        let writers = is_open.then(|| stamp.file()).into_iter().collect();
        let found = Looks::new(&[models], &writers).at(&stamp, &[file]);
        if let Some(Waits::Download(control)) = &found {
            assert_eq!(control, &beside);
        }
        found
    }

    #[test]
    fn a_control_file_beside_it_says_not_yet() {
        for (beside, is_old, is_download) in [
            ("", false, false),
            ("pack/sub/Model X.safetensors.aria2", true, true),
            ("pack/sub/model x.SAFETENSORS.Aria2", true, true),
            ("pack/sub/Model X.safetensors.st", true, true),
            ("pack/sub/Model X.safetensors.lftp-pget-status", true, true),
            ("pack/sub.aria2", true, true),
            ("pack.aria2", true, true),
            ("pack/sub/Model Y.safetensors.aria2", true, false),
            ("pack/sub/Model X.safetensors.part", false, true),
            ("pack/sub/Model X.safetensors.crdownload", false, true),
            ("pack/sub/Model X.safetensors.!qB", false, true),
            ("pack/sub/Model X.safetensors.part", true, false),
            ("pack/sub/Model X.safetensors.txt", false, false),
            ("pack/sub/Model X.png", false, false),
        ] {
            let is_waiting = matches!(waits(beside, is_old, false), Some(Waits::Download(_)));
            assert_eq!(is_waiting, is_download, "{beside} {is_old}");
        }
    }

    #[test]
    fn what_is_open_is_waited_for_unless_it_has_not_changed_for_long() {
        for (is_old, is_open, expected) in
            [(false, true, Some(Waits::Writer)), (true, true, None), (false, false, None)]
        {
            assert_eq!(waits("", is_old, is_open), expected, "{is_old} {is_open}");
        }
    }
}
