use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

use checkpoint::Id;
use protocol::ExtensionIndex;
use tokio::sync::oneshot;
use tracing::warn;

use super::{around::Around, index_file::ModelJsonFile};

/// How often to check what the web UI may have written.
const LOOK: Duration = Duration::from_secs(5);

/// Updates the indexes on its own thread, which ends when this is dropped.
#[derive(Debug)]
pub struct Keeper(Sender<Message>);

enum Message {
    Checkpoints(Arc<[(Id, PathBuf)]>),
    Report(oneshot::Sender<Vec<ExtensionIndex>>),
}

/// The thread's state.
struct KeeperThread {
    models_dirs: Vec<PathBuf>,
    around: Around<fn(&Path) -> Option<PathBuf>>,
    memory: PathBuf,
    write: bool,
    checkpoints: Option<Arc<[(Id, PathBuf)]>>,
    problems: Vec<String>,
}

impl Keeper {
    /// Updates the indexes of web UIs around `models_dirs`; what it learns is stored in the folder `memory`.
    /// Changes a web UI's files only if `write` is set.
    pub fn new(models_dirs: Vec<PathBuf>, memory: PathBuf, write: bool) -> Self {
        let (sender, messages) = mpsc::channel();
        let around = Around::new();
        let work = KeeperThread {
            models_dirs,
            around,
            memory,
            write,
            checkpoints: None,
            problems: Vec::new(),
        };
        thread::spawn(move || work.run(&messages));
        Self(sender)
    }

    /// Sets all checkpoints and their locations. Nothing is done before.
    pub fn checkpoints(&self, checkpoints: Arc<[(Id, PathBuf)]>) {
        let _ = self.0.send(Message::Checkpoints(checkpoints));
    }

    /// Requests what each index should contain, and whether it does.
    pub fn report(&self, reply: oneshot::Sender<Vec<ExtensionIndex>>) {
        let _ = self.0.send(Message::Report(reply));
    }
}

impl KeeperThread {
    fn run(mut self, messages: &Receiver<Message>) {
        loop {
            match messages.recv_timeout(LOOK) {
                Ok(Message::Checkpoints(checkpoints)) => {
                    self.checkpoints = Some(checkpoints);
                    self.look();
                }
                Ok(Message::Report(reply)) => {
                    let _ = reply.send(self.look());
                }
                Err(RecvTimeoutError::Timeout) => drop(self.look()),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn look(&mut self) -> Vec<ExtensionIndex> {
        let Some(checkpoints) = &self.checkpoints else { return Vec::new() };
        let reports: Vec<_> = ModelJsonFile::of(&self.around.find(&self.models_dirs))
            .iter()
            .map(|index| index.keep(checkpoints, &self.memory, self.write))
            .collect();
        let problem = |report: &ExtensionIndex| {
            Some(format!("{}: {}", report.path, report.problem.as_ref()?))
        };
        let problems: Vec<_> = reports.iter().filter_map(problem).collect();
        if problems != self.problems {
            problems.iter().for_each(|problem| warn!("{problem}"));
            self.problems = problems;
        }
        reports
    }
}
