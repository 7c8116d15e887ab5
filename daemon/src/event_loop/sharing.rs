//! What clients take from a store.

use std::{path::Path, sync::Arc};

use protocol::{Failure, PullOutcome, Reply};
use tokio::sync::oneshot;
use tracing::info;

use super::requests::send;
use crate::{
    api::other,
    event::{Event, Mailbox},
    owners::Owners,
    sharing::{Link, Offered, PullOrder, PulledPlan, pull},
};

/// What a client that named no store is told where none is configured.
const NO_STORE: &str =
    "no store is configured: set `url` under [store] in sdtrtd.toml, or name a folder";

impl Owners {
    /// Takes engines from a store, away from the loop.
    pub(super) fn record_pull(
        &self,
        url: Option<String>,
        engines: Vec<String>,
        reply: oneshot::Sender<Reply>,
    ) {
        let link = match self.link_to(url) {
            Ok(link) => link,
            Err(failure) => return send(reply, Err(failure)),
        };
        let snapshot = self.snapshot();
        let order = PullOrder {
            engines,
            target: snapshot.target().as_ref().ok().cloned(),
            models: self.sharing.models(),
            here: snapshot.library.manifests().keys().copied().collect(),
            data_dir: self.config.data_dir.clone(),
        };
        let mailbox = self.mailbox.clone();
        tokio::spawn(async move {
            let answer = pull_all(&link, &order, &mailbox).await;
            send(reply, answer.map_err(|reason| other(&reason)));
        });
    }

    fn link_to(&self, url: Option<String>) -> Result<Arc<Link>, Failure> {
        let Some(url) = url else { return self.sharing.link().ok_or_else(|| other(NO_STORE)) };
        let trusted = self.config.store.as_ref().map(|store| &store.trusted_keys[..]);
        let link = Link::named(&url, trusted.unwrap_or_default());
        Ok(Arc::new(link.map_err(|error| other(&format!("{error:#}")))?))
    }

    /// Publishes an engine that was taken from a store.
    pub(super) fn record_pulled(
        &mut self,
        pulled: PulledPlan,
        done: oneshot::Sender<Result<(), String>>,
    ) {
        let PulledPlan { plan, manifest, _scratch } = pulled;
        let (key, bytes) = (manifest.key, manifest.bytes);
        let published = self.library.record_pulled(&plan, manifest);
        if published.is_ok() {
            info!(engine = %key.short(), bytes, "engine taken from a store");
            self.forget_failures(&key);
            self.news.serving = true;
            self.timers.now();
        }
        let _ = done.send(published.map_err(|error| format!("{error:#}")));
    }
}

async fn pull_all(link: &Link, order: &PullOrder, mailbox: &Mailbox) -> Result<Reply, String> {
    let scratch = order.data_dir.join("scratch");
    let offered = pull(link, order, || tempfile::tempdir_in(existing(&scratch)?)).await?;
    let mut all = Vec::new();
    for one in offered {
        match one {
            Offered::Done(pulled) => all.push(pulled),
            Offered::Taken(plan, mut pulled) => {
                let (done, published) = oneshot::channel();
                mailbox.send(Event::Pulled(plan, done));
                let published =
                    published.await.unwrap_or_else(|_| Err("sdtrtd is stopping".to_owned()));
                if let Err(reason) = published {
                    (pulled.outcome, pulled.reason) = (PullOutcome::Refused, Some(reason));
                }
                all.push(pulled);
            }
        }
    }
    Ok(Reply::Pulled(all))
}

fn existing(folder: &Path) -> std::io::Result<&Path> {
    std::fs::create_dir_all(folder)?;
    Ok(folder)
}
