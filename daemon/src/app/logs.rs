//! What was said during a build.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use protocol::{Failure, JobLog, Reply};
use tokio::{sync::oneshot, task::spawn_blocking};

use super::{actor::Actor, requests::other, view};

/// What is sent of a log at most, from its end.
const SENT_BYTES: u64 = 1 << 20;

impl Actor {
    /// Answers with the log of an engine, of a checkpoint's engine, or of the build under way or the
    /// last one.
    pub(super) fn log(&self, reference: Option<&str>, reply: oneshot::Sender<Reply>) {
        let engines = match self.logged(reference) {
            Ok(engines) => engines,
            Err(failure) => return drop(reply.send(Reply::Failed(failure))),
        };
        let logs = self.world.config.data_dir.join("logs");
        spawn_blocking(move || {
            let found = engines.into_iter().map(|engine| {
                let path = logs.join(format!("{engine}.log"));
                (engine, path)
            });
            let _ = reply.send(first(found).unwrap_or_else(Reply::Failed));
        });
    }

    /// Keys of the engines whose log may be meant, the likeliest first.
    fn logged(&self, reference: Option<&str>) -> Result<Vec<String>, Failure> {
        let building = self.world.build.as_ref();
        let history = self.world.store.history();
        let Some(reference) = reference else {
            let building = building.map(|build| build.engine.to_string());
            return Ok(building.into_iter().chain(history.into_iter().map(|f| f.engine)).collect());
        };
        let entry = match self.entry(reference) {
            Ok(entry) => entry,
            // It may be an engine's key.
            Err(failure) => {
                return self
                    .engine(reference)
                    .map(|key| vec![key.to_string()])
                    .map_err(|_| failure);
            }
        };
        let of_entry = |weights: &str| entry.weights_id.as_deref() == Some(weights);
        let building = building.filter(|build| of_entry(&build.weights.to_string()));
        let ended = history.iter().filter(|finished| of_entry(&finished.weights_id));
        Ok(building
            .map(|build| build.engine.to_string())
            .into_iter()
            .chain(ended.map(|finished| finished.engine.clone()))
            .chain(entry.engines.iter().map(|engine| engine.key.clone()))
            .collect())
    }
}

fn first(logs: impl Iterator<Item = (String, PathBuf)>) -> Result<Reply, Failure> {
    for (engine, path) in logs {
        match tail(&path) {
            Ok((text, is_cut)) => {
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
