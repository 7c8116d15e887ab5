//! The web UIs that models folders belong to.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

/// How long a folder may take to say where it is.
const PATIENCE: Duration = Duration::from_secs(1);

/// Asks each models folder on a thread of its own, as its disk may hang: one thread waits for it then, and the folder is
/// left out until it answers.
pub(super) struct Around<F> {
    find: F,
    patience: Duration,
    asked: BTreeMap<PathBuf, Receiver<Option<PathBuf>>>,
}

/// A models folder, and the models folder of the web UI around it.
pub(super) type Surroundings = (PathBuf, Option<PathBuf>);

impl Around<fn(&Path) -> Option<PathBuf>> {
    pub(super) fn new() -> Self {
        Self { find: webui, patience: PATIENCE, asked: BTreeMap::new() }
    }
}

impl<F: Fn(&Path) -> Option<PathBuf> + Copy + Send + 'static> Around<F> {
    /// Where these folders are, as far as they answer.
    pub(super) fn find(&mut self, dirs: &[PathBuf]) -> Vec<Surroundings> {
        dirs.iter().filter_map(|dir| Some((dir.clone(), self.ask(dir)?))).collect()
    }

    fn ask(&mut self, dir: &Path) -> Option<Option<PathBuf>> {
        let (is_new, answer) = match self.asked.remove(dir) {
            Some(answer) => (false, answer),
            None => {
                let (sender, answer) = mpsc::sync_channel(1);
                let (find, dir) = (self.find, dir.to_owned());
                thread::spawn(move || drop(sender.send(find(&dir))));
                (true, answer)
            }
        };
        match answer.recv_timeout(if is_new { self.patience } else { Duration::ZERO }) {
            Ok(found) => Some(found),
            Err(RecvTimeoutError::Timeout) => {
                self.asked.insert(dir.to_owned(), answer);
                None
            }
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }
}

fn webui(dir: &Path) -> Option<PathBuf> {
    dir.ancestors().find(|dir| dir.join("Unet-trt/model.json").is_file()).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    static ASKED: AtomicUsize = AtomicUsize::new(0);

    fn hanging(dir: &Path) -> Option<PathBuf> {
        if dir == Path::new("/hangs") {
            ASKED.fetch_add(1, Ordering::SeqCst);
            loop {
                thread::park();
            }
        }
        dir.parent().map(Path::to_owned)
    }

    #[test]
    fn a_folder_that_does_not_answer_is_left_out_and_asked_once() {
        let dirs = ["/hangs", "/webui/models"].map(PathBuf::from);
        let found = vec![("/webui/models".into(), Some("/webui".into()))];
        let mut around = Around { find: hanging, patience: PATIENCE, asked: BTreeMap::new() };
        for _ in 0..3 {
            assert_eq!(around.find(&dirs), found);
        }
        assert_eq!(ASKED.load(Ordering::SeqCst), 1);
    }
}
