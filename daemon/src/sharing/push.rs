//! Adds to the store what this machine has built and found: in the background, one object after the other. What could
//! not be added is tried again, after a restart too, and nothing is lost if it never is.

use std::{
    collections::HashSet,
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use checkpoint::Id;
use engine::{Manifest, Weights, kernels_file, kernels_folder};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};
use tracing::{info, warn};

use super::{Link, Links};

/// When to try again what could not be added, and to ask a store that did not answer.
const SOON: Duration = Duration::from_secs(60);

/// When to look for kernels that the web UI has compiled meanwhile.
const LATER: Duration = Duration::from_secs(600);

/// Engines, and when each was validated last; the number tells when to look at all of them again.
type Offer = (Vec<(Id, Option<u64>)>, u64);

/// Hands engines to the task that adds them.
pub(super) struct Pusher(watch::Sender<Offer>);

impl Pusher {
    /// Starts the task, where there is a runtime to run it.
    pub(super) fn new(links: Links, data_dir: PathBuf) -> Self {
        let (sender, receiver) = watch::channel(Offer::default());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(run(links, data_dir, receiver));
        }
        Self(sender)
    }

    /// Offers these engines.
    pub(super) fn offer(&self, engines: Vec<(Id, Option<u64>)>) {
        self.0.send_if_modified(|offer| {
            let is_new = offer.0 != engines;
            offer.0 = engines;
            is_new
        });
    }

    /// Has all be looked at again: the store may be another.
    pub(super) fn again(&self) {
        self.0.send_modify(|offer| offer.1 += 1);
    }
}

/// What was added to a store.
#[derive(PartialEq, Eq, Hash)]
enum Added {
    Engine(Id),
    /// When the validation was made.
    Validation(Id, String, u64),
    /// When the kernels were last written.
    Kernels(Id, String, SystemTime),
}

async fn run(links: Links, data_dir: PathBuf, mut offers: watch::Receiver<Offer>) {
    let (mut added, mut round) = (HashSet::new(), (0, 0));
    loop {
        let (engines, number) = offers.borrow_and_update().clone();
        let mut is_all = true;
        if let Some(link) = links.link().filter(|link| link.writes()) {
            // A store that was away may have lost what was added to it.
            let now = (number, link.returns());
            if now != round {
                (added, round) = (HashSet::new(), now);
            }
            for (engine, _) in engines {
                let (link, links, data_dir) = (link.clone(), links.clone(), data_dir.clone());
                let pushing = Pushing { link, links, data_dir, engine };
                is_all &= pushing.all(&mut added).await;
            }
        }
        let next = if is_all { LATER } else { SOON };
        if !rest(&links, &mut offers, next).await {
            return;
        }
    }
}

/// Waits for so long, for another offer, or until a store that did not answer does. `false` if there are no more offers.
async fn rest(links: &Links, offers: &mut watch::Receiver<Offer>, time: Duration) -> bool {
    let end = Instant::now() + time;
    loop {
        tokio::select! {
            changed = offers.changed() => return changed.is_ok(),
            () = sleep_until(end) => return true,
            () = sleep(SOON) => {}
        }
        // Otherwise `status` would say that it does not answer until something is wanted of it.
        if let Some(link) = links.link()
            && link.probe().await
        {
            return true;
        }
    }
}

/// One engine, and all that belongs to it.
struct Pushing {
    link: Arc<Link>,
    links: Links,
    data_dir: PathBuf,
    engine: Id,
}

impl Pushing {
    /// Adds what is new; whether nothing is left.
    async fn all(&self, added: &mut HashSet<Added>) -> bool {
        // It may have been removed meanwhile.
        let Some(manifest) = self.manifest() else { return true };
        if manifest.is_former() || !matches!(manifest.spec.weights, Weights::Shared(_)) {
            return true;
        }
        // What belongs to it comes after it.
        self.add_engine(&manifest, added).await
            && self.add_validations(&manifest, added).await
            && self.add_kernels(&manifest, added).await
    }

    fn manifest(&self) -> Option<Manifest> {
        let path = self.data_dir.join("engines").join(format!("{}.json", self.engine));
        let read = fs::read(&path).ok()?;
        let parsed = serde_json::from_slice(&read);
        parsed.inspect_err(|error| warn!("{}: {error}", path.display())).ok()
    }

    async fn add_engine(&self, manifest: &Manifest, added: &mut HashSet<Added>) -> bool {
        let item = Added::Engine(self.engine);
        if added.contains(&item) {
            return true;
        }
        let plan = self.data_dir.join("engines").join(format!("{}.engine", self.engine));
        let manifest = manifest.clone();
        let put = self.link.ask(|store| async move { store.put_engine(&manifest, &plan).await });
        self.note(put.await, item, "engine", added)
    }

    async fn add_validations(&self, manifest: &Manifest, added: &mut HashSet<Added>) -> bool {
        let mut is_all = true;
        for validation in &manifest.validations {
            // Whoever made it adds it.
            if validation.borrowed {
                continue;
            }
            let version = manifest.spec.version.clone();
            let machine = kernels_folder(&validation.gpu, &validation.driver, &version);
            let item = Added::Validation(self.engine, machine, validation.validated_at);
            if added.contains(&item) {
                continue;
            }
            let (validation, engine) = (validation.clone(), self.engine);
            let put = self.link.ask(|store| async move {
                store.put_validation(&version, &engine, &validation).await
            });
            is_all &= self.note(put.await, item, "validation", added);
        }
        is_all
    }

    async fn add_kernels(&self, manifest: &Manifest, added: &mut HashSet<Added>) -> bool {
        let mut is_all = true;
        for model in self.links.models() {
            let machine = kernels_folder(&model.name, &model.driver, &manifest.spec.version);
            let path = kernels_file(&self.data_dir, &machine, &self.engine);
            let Ok(written) = fs::metadata(&path).and_then(|found| found.modified()) else {
                continue;
            };
            let item = Added::Kernels(self.engine, machine.clone(), written);
            if added.contains(&item) {
                continue;
            }
            let engine = self.engine;
            let put = self
                .link
                .ask(|store| async move { store.put_kernels(&machine, &engine, &path).await });
            is_all &= self.note(put.await, item, "kernels", added);
        }
        is_all
    }

    fn note(
        &self,
        put: Option<store::Put>,
        item: Added,
        what: &str,
        added: &mut HashSet<Added>,
    ) -> bool {
        let Some(put) = put else { return false };
        if put == store::Put::New {
            self.link.record_added();
            info!(engine = %self.engine.short(), "{what} added to the store");
        }
        added.insert(item);
        true
    }
}
