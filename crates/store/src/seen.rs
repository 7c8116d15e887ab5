//! When the newest object of each name was signed, so that an older one is not taken for it.

use std::{
    collections::HashMap,
    fmt::Write as _,
    fs::OpenOptions,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tracing::warn;

use crate::{Refusal, StoreError};

/// More than the names of any store take.
const FILE_BYTES: u64 = 256 << 20;

/// When the newest object of each name was signed that was seen here.
///
/// Its file has a line `TIME NAME` for each that was newer than before, so that several programs can write it at once.
/// What a crash tears is a line that is not understood: one object is then believed once more than it should be.
#[derive(Debug)]
pub(crate) struct Seen {
    path: Option<PathBuf>,
    times: Mutex<HashMap<String, u64>>,
}

impl Seen {
    pub(crate) fn open(path: Option<PathBuf>) -> Result<Self, StoreError> {
        let mut times = HashMap::new();
        if let Some(path) = &path {
            let lines = load(path, &mut times).map_err(|error| StoreError::local(path, error))?;
            if lines > 1000 + 2 * times.len() {
                shorten(path, &times).map_err(|error| StoreError::local(path, error))?;
            }
        }
        Ok(Self { path, times: Mutex::new(times) })
    }

    fn times(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the newest object of this name was signed.
    pub(crate) fn newest(&self, name: &str) -> Option<u64> {
        self.times().get(name).copied()
    }

    /// Remembers an object of this name.
    ///
    /// # Errors
    /// That a newer one was seen.
    pub(crate) fn see(&self, name: &str, signed: u64) -> Result<(), Refusal> {
        let mut times = self.times();
        match times.get(name) {
            Some(&seen) if signed < seen => return Err(Refusal::Replayed { signed, seen }),
            Some(&seen) if signed == seen => return Ok(()),
            _ => times.insert(name.to_owned(), signed),
        };
        if let Some(path) = &self.path
            && let Err(error) = append(path, &format!("{signed} {name}\n"))
        {
            warn!(
                "{} is not written, and forgets {name} with this process: {error}",
                path.display()
            );
        }
        Ok(())
    }
}

/// Returns how many lines there are.
fn load(path: &Path, times: &mut HashMap<String, u64>) -> io::Result<usize> {
    let bytes = match engine::read_regular(path, FILE_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        other => other?,
    };
    let mut lines = 0;
    for line in bytes.split(|&byte| byte == b'\n') {
        lines += 1;
        let line = str::from_utf8(line).ok().and_then(|line| line.split_once(' '));
        if let Some((time, name)) = line
            && let Ok(time) = time.parse::<u64>()
        {
            let newest = times.entry(name.to_owned()).or_default();
            *newest = time.max(*newest);
        }
    }
    Ok(lines)
}

fn append(path: &Path, line: &str) -> io::Result<()> {
    // In one write, so that another program's line does not begin in the middle.
    OpenOptions::new().create(true).append(true).open(path)?.write_all(line.as_bytes())
}

/// Leaves the newest line of each name. What another program appends meanwhile may be lost, as after a crash.
fn shorten(path: &Path, times: &HashMap<String, u64>) -> io::Result<()> {
    let mut lines = String::new();
    for (name, time) in times {
        writeln!(lines, "{time} {name}").map_err(io::Error::other)?;
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(lines.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_older_object_is_a_replay_also_for_the_next_process() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seen");
        let seen = Seen::open(Some(path.clone())).unwrap();
        assert_eq!(seen.see("a", 5), Ok(()));
        assert_eq!(seen.see("b", 1), Ok(()));
        for seen in [seen, Seen::open(Some(path.clone())).unwrap()] {
            assert_eq!(seen.newest("a"), Some(5));
            assert_eq!(seen.see("a", 4), Err(Refusal::Replayed { signed: 4, seen: 5 }));
            assert_eq!(seen.see("a", 5), Ok(()));
            assert_eq!(seen.see("b", 1), Ok(()));
        }
        assert_eq!(fs::read_to_string(path).unwrap(), "5 a\n1 b\n");
    }

    #[test]
    fn what_is_torn_is_passed_over_and_what_is_old_is_shortened() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seen");
        let mut lines = (0..2000).map(|time| format!("{time} a\n")).collect::<String>();
        lines.push_str("7 b\nx c\n\n99");
        fs::write(&path, lines).unwrap();
        let seen = Seen::open(Some(path.clone())).unwrap();
        assert_eq!(
            (seen.newest("a"), seen.newest("b"), seen.newest("c")),
            (Some(1999), Some(7), None)
        );
        let mut left: Vec<_> =
            fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
        left.sort();
        assert_eq!(left, ["1999 a", "7 b"]);
    }

    #[test]
    fn without_a_file_it_is_remembered_for_as_long_as_the_process_lives() {
        let seen = Seen::open(None).unwrap();
        seen.see("a", 5).unwrap();
        assert!(seen.see("a", 4).is_err());
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let error = Seen::open(Some(dir.path().to_owned())).unwrap_err();
        assert!(matches!(error, StoreError::Local { .. }), "{error}");
        // A file that can't be written forgets, and stops nothing.
        let nowhere = dir.path().join("no folder/seen");
        assert_eq!(Seen::open(Some(nowhere)).unwrap().see("a", 1), Ok(()));
    }
}
