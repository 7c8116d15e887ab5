//! Takes engines from a store because a person asks for them: from the machines' own, or from a folder such as a
//! stick's.

use std::path::PathBuf;

use checkpoint::Id;
use engine::{Manifest, Target, Validation};
use protocol::{PullOutcome, Pulled};
use store::Kind;
use tempfile::TempDir;

use super::{
    Link, Model,
    fetch::{fetch_kernels, problem, validations},
};

/// What a client asks for, and what decides what this machine can use.
pub(crate) struct PullOrder {
    /// Beginnings of keys; if there are none, whatever can be used here.
    pub(crate) engines: Vec<String>,
    pub(crate) target: Option<Target>,
    pub(crate) models: Vec<Model>,
    /// Engines that are here already.
    pub(crate) here: Vec<Id>,
    pub(crate) data_dir: PathBuf,
}

/// An engine that was taken, and is to be published.
pub(crate) struct PulledPlan {
    pub(crate) plan: PathBuf,
    pub(crate) manifest: Manifest,
    /// Deleted with it.
    pub(crate) _scratch: TempDir,
}

/// An engine in a store.
pub(crate) enum Offered {
    /// What became of it already.
    Done(Pulled),
    /// It is taken and to be published.
    Taken(Box<PulledPlan>, Pulled),
}

/// Takes what is asked for. `scratch` makes a folder on the engines' disk.
///
/// # Errors
/// Why the store can't be listed, or which beginning of a key fits nothing in it.
pub(crate) async fn pull(
    link: &Link,
    order: &PullOrder,
    scratch: impl Fn() -> std::io::Result<TempDir>,
) -> Result<Vec<Offered>, String> {
    let mut offered = Vec::new();
    for key in keys(link, &order.engines).await? {
        offered.push(one(link, order, key, &scratch).await);
    }
    Ok(offered)
}

/// The keys that are asked for: whole ones need no list, which not every store can give.
async fn keys(link: &Link, wanted: &[String]) -> Result<Vec<Id>, String> {
    let whole: Option<Vec<Id>> = wanted.iter().map(|wanted| wanted.parse().ok()).collect();
    if let Some(whole) = whole.filter(|_| !wanted.is_empty()) {
        return Ok(whole);
    }
    let url = link.shown().url;
    let listed = link.ask(|store| async move { store.list().await }).await;
    let listed =
        listed.ok_or_else(|| format!("the store {url} can't be listed: {}", link.why()))?;
    let engines = listed.iter().filter(|listed| listed.kind == Kind::Engine);
    let key = |name: &str| name.strip_prefix("engines/")?.strip_suffix(".sealed")?.parse().ok();
    let mut keys: Vec<Id> = engines.filter_map(|listed| key(&listed.name)).collect();
    let fits = |key: &Id, start: &String| key.to_string().starts_with(start.as_str());
    if let Some(start) = wanted.iter().find(|start| !keys.iter().any(|key| fits(key, start))) {
        return Err(format!("no engine in {url} has a key that begins with {start}"));
    }
    keys.retain(|key| wanted.is_empty() || wanted.iter().any(|start| fits(key, start)));
    Ok(keys)
}

async fn one(
    link: &Link,
    order: &PullOrder,
    key: Id,
    scratch: impl Fn() -> std::io::Result<TempDir>,
) -> Offered {
    let done = |label: String, outcome, reason| Pulled { engine: key, label, outcome, reason };
    let shared = link.ask(|store| async move { store.engine(&key).await }).await.flatten();
    let Some(shared) = shared else {
        return Offered::Done(done(String::new(), PullOutcome::Refused, Some(link.why())));
    };
    let manifest = shared.manifest.clone();
    let label = manifest.label();
    if order.here.contains(&key) {
        return Offered::Done(done(label, PullOutcome::Here, None));
    }
    if let Some(reason) = unusable(&manifest, order.target.as_ref()) {
        return Offered::Done(done(label, PullOutcome::Left, Some(reason)));
    }
    let refused = |reason| Offered::Done(done(label.clone(), PullOutcome::Refused, Some(reason)));
    if let Some(problem) = problem(&manifest, &manifest.spec) {
        return refused(problem);
    }
    let folder = match scratch() {
        Ok(folder) => folder,
        Err(error) => return refused(error.to_string()),
    };
    let plan = folder.path().join("engine");
    let to = plan.clone();
    if link.ask(|store| async move { store.fetch_plan(&shared, &to).await }).await.is_none() {
        return refused(link.why());
    }
    let validations: Vec<Validation> = validations(link, &manifest, &order.models).await;
    fetch_kernels(link, &manifest, &order.models, &order.data_dir).await;
    link.record_engine();
    let manifest = Manifest { validations, ..manifest };
    let taken = PulledPlan { plan, manifest, _scratch: folder };
    Offered::Taken(Box::new(taken), done(label, PullOutcome::Taken, None))
}

/// Why this machine can't use an engine, if so.
fn unusable(manifest: &Manifest, target: Option<&Target>) -> Option<String> {
    let Some(target) = target else {
        return Some("this machine has no TensorRT-RTX; `sdtrtctl runtime install`".to_owned());
    };
    let (theirs, ours) = (&manifest.spec.version, &target.runtime.version);
    if theirs != ours {
        return Some(format!(
            "it was built with TensorRT-RTX {theirs}, and this machine has {ours}"
        ));
    }
    if manifest.spec.recipe != unet::RECIPE {
        return Some("another release of sdtrt has built it".to_owned());
    }
    None
}
