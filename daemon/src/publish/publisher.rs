use std::path::PathBuf;

use checkpoint::Id;
use config::Config;
use protocol::ExtensionIndex;
use tokio::sync::oneshot;

use super::{Index, IndexFile, Keeper};

/// What other programs are told: `index.json`, and the indexes of the web UIs' NVIDIA extension.
pub(crate) struct Publisher {
    index: IndexFile,
    webuis: Keeper,
    /// Where everything lies, as the keeper of web UIs knows it.
    places: Option<Vec<(Id, PathBuf)>>,
}

impl Publisher {
    pub(crate) fn new(config: &Config) -> Self {
        let index = IndexFile::new(config.data_dir.join("index.json"));
        Self { index, webuis: keeper(config), places: None }
    }

    /// The models folders are others, or what is kept of web UIs is.
    pub(crate) fn record_other_folders(&mut self, config: &Config) {
        self.webuis = keeper(config);
        self.places = None;
    }

    /// Whether the index was written in this life: the one of an earlier life is better than half of one.
    pub(crate) fn is_written(&self) -> bool {
        self.index.is_written()
    }

    /// Whether the index lies there as it was written, or none was yet.
    pub(crate) fn is_index_in_place(&self) -> bool {
        !self.index.is_written() || self.index.is_in_place()
    }

    /// Why the index can't be written at present.
    pub(crate) fn problem(&self) -> Option<&String> {
        self.index.problem()
    }

    pub(crate) fn publish_index(&mut self, index: Index) {
        self.index.publish(index);
    }

    /// Tells web UIs where every checkpoint lies. Not to be called before every file was read: one that is not
    /// known yet would look deleted, and a name that it shares with another would seem to mean that one alone.
    pub(crate) fn publish_places(&mut self, places: Vec<(Id, PathBuf)>) {
        if self.places.as_ref() != Some(&places) {
            self.webuis.checkpoints(places.clone());
            self.places = Some(places);
        }
    }

    /// Asks for what each index of a web UI should be like, and whether it is.
    pub(crate) fn report(&self, reply: oneshot::Sender<Vec<ExtensionIndex>>) {
        self.webuis.report(reply);
    }
}

/// What keeps the web UIs' indexes true under this configuration.
fn keeper(config: &Config) -> Keeper {
    let memory = config.data_dir.join("webui");
    Keeper::new(config.models_dirs.clone(), memory, config.keep_model_json)
}
