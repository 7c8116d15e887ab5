//! Records each job before it starts, so that a job that takes the daemon down with it, for instance through
//! a container's memory limit, is known after the restart.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use checkpoint::Id;
use engine::read_regular;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;
use tracing::warn;

/// More than a file takes.
const BYTES: u64 = 4096;

/// `DATA/attempts`: a file for each job that is running, or during which the daemon ended.
pub(super) struct Attempts {
    folder: PathBuf,
    /// How often the daemon ended during a job.
    deaths: HashMap<Id, u32>,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Attempt {
    deaths: u32,
    under_way: bool,
}

impl Attempts {
    /// Reads the files: a job that was running when the daemon ended counts.
    pub(super) fn open(data_dir: &Path) -> Self {
        let folder = data_dir.join("attempts");
        let mut attempts = Self { folder, deaths: HashMap::new() };
        for entry in fs::read_dir(&attempts.folder).into_iter().flatten().flatten() {
            let job = entry.file_name().to_str().and_then(|name| name.parse().ok());
            let Some(job): Option<Id> = job else { continue };
            // A truncated file was being written when the daemon ended.
            let cut_off = Attempt { deaths: 0, under_way: true };
            let Ok(bytes) = read_regular(&entry.path(), BYTES) else { continue };
            let found: Attempt = serde_json::from_slice(&bytes).unwrap_or(cut_off);
            let deaths = found.deaths.saturating_add(u32::from(found.under_way));
            attempts.deaths.insert(job, deaths);
            if found.under_way
                && let Err(error) = attempts.write(&job, false)
            {
                warn!("what ended with sdtrtd can't be written down: {error}");
            }
        }
        attempts
    }

    /// How often the daemon ended during each job.
    pub(super) fn deaths(&self) -> &HashMap<Id, u32> {
        &self.deaths
    }

    /// Records that a job is about to start. Returns once that would survive a power failure.
    ///
    /// # Errors
    /// If it can't be written; then the job must not start.
    pub(super) fn begin(&self, job: &Id) -> io::Result<()> {
        self.write(job, true)
    }

    /// Records that a job has ended, and the daemon has not.
    pub(super) fn end(&self, job: &Id) {
        let ended = if self.deaths.contains_key(job) {
            self.write(job, false)
        } else {
            fs::remove_file(self.folder.join(job.to_string()))
        };
        match ended {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                warn!("the end of a job can't be written down: {error}");
            }
            _ => {}
        }
    }

    /// Forgets a job that succeeded or was requested again.
    pub(super) fn forget(&mut self, job: &Id) {
        if self.deaths.remove(job).is_some() {
            self.end(job);
        }
    }

    fn write(&self, job: &Id, under_way: bool) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let deaths = self.deaths.get(job).copied().unwrap_or_default();
        let mut aside = NamedTempFile::new_in(&self.folder)?;
        aside.write_all(&serde_json::to_vec(&Attempt { deaths, under_way })?)?;
        aside.as_file().sync_all()?;
        aside.persist(self.folder.join(job.to_string())).map_err(|error| error.error)?;
        File::open(&self.folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> Id {
        Id::from(blake3::hash(name.as_bytes()))
    }

    #[test]
    fn only_what_was_under_way_when_a_life_ended_counts() {
        let dir = tempfile::tempdir().unwrap();
        let deaths = || Attempts::open(dir.path()).deaths().clone();
        for life in 1..=3 {
            let attempts = Attempts::open(dir.path());
            attempts.begin(&id("ends well")).unwrap();
            attempts.end(&id("ends well"));
            attempts.begin(&id("takes it along")).unwrap();
            drop(attempts);
            assert_eq!(deaths(), [(id("takes it along"), life)].into());
        }
        assert_eq!(deaths(), [(id("takes it along"), 3)].into(), "a life without counts no more");
        let attempts = Attempts::open(dir.path());
        attempts.begin(&id("takes it along")).unwrap();
        attempts.end(&id("takes it along"));
        assert_eq!(deaths()[&id("takes it along")], 3, "it failed, and sdtrtd lived");
        let mut attempts = Attempts::open(dir.path());
        attempts.forget(&id("takes it along"));
        fs::write(dir.path().join("attempts").join(id("cut").to_string()), "").unwrap();
        fs::create_dir(dir.path().join("attempts").join(id("folder").to_string())).unwrap();
        assert_eq!(deaths(), [(id("cut"), 1)].into());
    }
}
