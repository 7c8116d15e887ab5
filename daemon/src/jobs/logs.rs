//! What was said during a build.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use protocol::{Failure, JobLog, Reply};
use tokio::{sync::oneshot, task::spawn_blocking};

use crate::{
    api::{requests::other, view},
    build::log_name,
    event_loop::Actor,
    jobs::RunningJob,
};

/// What is sent of a log at most, from its end.
const SENT_BYTES: u64 = 1 << 20;

impl Actor {
    /// Answers with the log of an engine, of a checkpoint's engine, or of a job under way or the last
    /// build.
    pub(crate) fn log(&self, reference: Option<&str>, reply: oneshot::Sender<Reply>) {
        let names = match self.logged(reference) {
            Ok(names) => names,
            Err(failure) => return drop(reply.send(Reply::Failed(failure))),
        };
        let logs = self.world.config.data_dir.join("logs");
        spawn_blocking(move || {
            let found = names.into_iter().map(|name| logs.join(name));
            let _ = reply.send(first(found).unwrap_or_else(Reply::Failed));
        });
    }

    /// Names of the logs that may be meant, the likeliest first.
    fn logged(&self, reference: Option<&str>) -> Result<Vec<String>, Failure> {
        let log = |running: &RunningJob| log_name(&running.work.want.engine, &running.job.task);
        let history = self.world.store.history();
        let Some(reference) = reference else {
            let ended = history.into_iter().map(|finished| built(&finished.engine));
            return Ok(self.world.jobs.running().iter().map(log).chain(ended).collect());
        };
        let entry = match self.entry(reference) {
            Ok(entry) => entry,
            // It may be an engine's key.
            Err(failure) => {
                let key = self.engine(reference).map_err(|_| failure)?.to_string();
                return Ok(vec![built(&key), validated(&key)]);
            }
        };
        let of_entry = |weights: &str| entry.weights_id.as_deref() == Some(weights);
        let running = self.world.jobs.running().iter();
        let running = running.filter(|running| of_entry(&running.work.want.weights.to_string()));
        let ended = history.iter().filter(|finished| of_entry(&finished.weights_id));
        let keys = || entry.engines.iter().map(|engine| &engine.key);
        Ok(running
            .map(log)
            .chain(ended.map(|finished| built(&finished.engine)))
            .chain(keys().map(|key| built(key)))
            .chain(keys().map(|key| validated(key)))
            .collect())
    }
}

fn built(engine: &str) -> String {
    format!("{engine}.log")
}

fn validated(engine: &str) -> String {
    format!("{engine}-validation.log")
}

fn first(logs: impl Iterator<Item = PathBuf>) -> Result<Reply, Failure> {
    for path in logs {
        match tail(&path) {
            Ok((text, is_cut)) => {
                let name = path.file_stem().unwrap_or_default().to_string_lossy();
                let engine = name.split('-').next().unwrap_or_default().to_owned();
                return Ok(Reply::Log(JobLog { engine, path: view::text(&path), text, is_cut }));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(other(&format!("cannot read {}: {error}", path.display()))),
        }
    }
    Err(other("there is no log: nothing was built yet, or `sdtrtctl gc` has cleared it away"))
}

fn tail(path: &Path) -> io::Result<(String, bool)> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let start = length.saturating_sub(SENT_BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    // It may be growing.
    file.take(SENT_BYTES).read_to_end(&mut bytes)?;
    Ok((String::from_utf8_lossy(&bytes).into_owned(), start > 0))
}
