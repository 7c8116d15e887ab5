//! What machines share through a store: engines, kernels, validations and what files are. Whatever is wrong with the
//! store, this machine does by itself what it can't take from there.

mod contents;
mod fetch;
mod link;
mod pull;
mod push;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use checkpoint::Id;
use config::Config;
use protocol::StoreStatus;

pub(crate) use link::{Announce, Link};
pub(crate) use pull::{Offered, PullOrder, PulledPlan, pull};

use crate::{gate::Gpu, inventory::Peers, jobs::Builder};

/// A GPU's model and its driver, which kernels and validations are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) name: String,
    pub(crate) driver: String,
}

/// The way to the store, for those who ask it while the loop goes on.
#[derive(Clone, Default)]
pub(crate) struct Links(Arc<Mutex<Now>>);

#[derive(Default)]
struct Now {
    link: Option<Arc<Link>>,
    models: Vec<Model>,
}

impl Links {
    /// The store, if one is configured.
    fn link(&self) -> Option<Arc<Link>> {
        self.with(|now| now.link.clone())
    }

    /// The GPUs of this machine, one of each model.
    fn models(&self) -> Vec<Model> {
        self.with(|now| now.models.clone())
    }

    fn with<T>(&self, what: impl FnOnce(&mut Now) -> T) -> T {
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The store and what goes to and fro.
pub(crate) struct Sharing {
    links: Links,
    pusher: push::Pusher,
    data_dir: PathBuf,
    announce: Announce,
}

impl Sharing {
    /// With the store of this configuration, if it has one. `announce` is called when something about it has changed.
    pub(crate) fn new(config: &Config, announce: Announce) -> Self {
        let links = Links::default();
        let data_dir = config.data_dir.clone();
        fetch::sweep(&data_dir);
        let pusher = push::Pusher::new(links.clone(), data_dir.clone());
        let mut sharing = Self { links, pusher, data_dir, announce };
        sharing.configure(config);
        sharing
    }

    /// Takes the store of this configuration from now on.
    pub(crate) fn configure(&mut self, config: &Config) {
        let seen = self.data_dir.join("store-seen");
        let link = config.store.as_ref().filter(|store| !store.url.is_empty());
        let link = link.map(|store| Arc::new(Link::new(store, seen, self.announce.clone())));
        self.links.with(|now| now.link = link);
        self.pusher.again();
    }

    /// Has the store be asked before each build and before kernels are compiled.
    pub(crate) fn first(&self, builder: Arc<dyn Builder>) -> Arc<dyn Builder> {
        Arc::new(fetch::StoreFirst::new(self.links.clone(), self.data_dir.clone(), builder))
    }

    /// The machines that share a store, if there is one.
    pub(crate) fn peers(&self) -> Option<Arc<dyn Peers>> {
        self.links.link()?;
        Some(Arc::new(contents::Contents::new(self.links.clone())))
    }

    /// The GPUs of this machine.
    pub(crate) fn record_gpus(&mut self, gpus: &[Gpu]) {
        let model = |gpu: &Gpu| Model { name: gpu.name.clone(), driver: gpu.driver.clone() };
        let mut models: Vec<Model> = Vec::new();
        for gpu in gpus.iter().map(model) {
            if !models.contains(&gpu) {
                models.push(gpu);
            }
        }
        self.links.with(|now| now.models = models);
    }

    /// Offers these engines, with the time of their newest validation, to the others.
    pub(crate) fn offer(&self, engines: impl Iterator<Item = (Id, Option<u64>)>) {
        if self.links.link().is_some_and(|link| link.writes()) {
            self.pusher.offer(engines.collect());
        }
    }

    /// The store, for a client's request.
    pub(crate) fn link(&self) -> Option<Arc<Link>> {
        self.links.link()
    }

    /// The GPUs of this machine, one of each model.
    pub(crate) fn models(&self) -> Vec<Model> {
        self.links.models()
    }

    /// The store as clients are shown it.
    pub(crate) fn shown(&self) -> Option<StoreStatus> {
        self.links.link().map(|link| link.shown())
    }
}
