use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use checkpoint::Id;
use config::Config;
use protocol::ExtensionIndex;
use tokio::sync::oneshot;

use super::{Index, IndexFile, Keeper};

/// Publishes `index.json` and the indexes of the web UIs' NVIDIA extension.
pub(crate) struct Publisher {
    index: IndexFile,
    webuis: Keeper,
    /// The checkpoints' locations that were last published.
    places: Option<Arc<[(Id, PathBuf)]>>,
}

impl Publisher {
    pub(crate) fn new(config: &Config) -> Self {
        let index = IndexFile::new(config.data_dir.join("index.json"));
        Self { index, webuis: keeper(config), places: None }
    }

    /// Records that the models folders, or the settings about web UIs, have changed.
    pub(crate) fn record_other_folders(&mut self, config: &Config) {
        self.webuis = keeper(config);
        self.places = None;
    }

    /// Whether the index was written since the start: the old one is better than an incomplete one.
    pub(crate) fn is_written(&self) -> bool {
        self.index.is_written()
    }

    /// Whether the index is as it was written, or was not written yet.
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

    /// Whether these locations, sorted, were the last to be published.
    pub(crate) fn has_published(&self, places: &[(Id, &Path)]) -> bool {
        let published = self.places.iter().flat_map(|places| places.iter());
        self.places.is_some()
            && published.map(|(weights, path)| (*weights, &**path)).eq(places.iter().copied())
    }

    /// Publishes the location of every checkpoint. Call this only after every file was read: an unknown one
    /// would look deleted, and a name that it shares would seem to be unambiguous.
    pub(crate) fn publish_places(&mut self, places: Vec<(Id, PathBuf)>) {
        let places = Arc::<[_]>::from(places);
        self.webuis.checkpoints(places.clone());
        self.places = Some(places);
    }

    /// Requests what each index of a web UI should contain, and whether it does.
    pub(crate) fn report(&self, reply: oneshot::Sender<Vec<ExtensionIndex>>) {
        self.webuis.report(reply);
    }
}

/// Returns the keeper of the web UIs' indexes with this configuration.
fn keeper(config: &Config) -> Keeper {
    let memory = config.data_dir.join("webui");
    Keeper::new(config.models_dirs.clone(), memory, config.keep_model_json)
}
