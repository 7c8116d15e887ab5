//! What files are: asked of the other machines, and told to them.

use std::{
    collections::HashMap,
    fs::File,
    sync::{Mutex, PoisonError},
};

use checkpoint::{Id, Stamp};
use store::Claim;
use tokio::{
    runtime::Handle,
    time::{Duration, Instant},
};
use tracing::debug;

use super::{Link, Links};
use crate::inventory::{Advice, Peers, Sighting, WholeReading};

/// Between two questions for a file that another machine is reading.
const POLL: Duration = Duration::from_secs(3);

/// A machine that reads a file has this long, and the time that the file takes at this many bytes a second: a slow disk
/// at idle priority. Then another one reads it.
const PATIENCE: Duration = Duration::from_secs(60);
const BYTES_PER_SECOND: u64 = 20_000_000;

/// The machines that share a store.
pub(super) struct Contents {
    links: Links,
    /// Claims of others: their number, and when it was seen first. The clocks of machines differ.
    claims: Mutex<HashMap<Id, (u32, Instant)>>,
    who: String,
}

impl Contents {
    pub(super) fn new(links: Links) -> Self {
        let host = rustix::system::uname();
        let who = format!("{} {}", host.nodename().to_string_lossy(), std::process::id());
        Self { links, claims: Mutex::default(), who }
    }

    async fn asked(&self, link: &Link, fingerprint: Id, size: u64) -> Advice {
        match self.known(link, fingerprint).await {
            None => return Advice::Read,
            Some(Some(found)) => return Advice::Believe(found),
            Some(None) if !link.writes() => return Advice::Read,
            Some(None) => {}
        }
        let (who, past) = (self.who.clone(), self.lapsed(&fingerprint, size));
        let claim =
            link.ask(|store| async move { store.claim(&fingerprint, &who, past).await }).await;
        match claim {
            None => Advice::Read,
            Some(Claim::Theirs(number)) => {
                self.record_claim(fingerprint, number);
                Advice::Wait(POLL)
            }
            // It may have become known just before.
            Some(Claim::Ours(_)) => match self.known(link, fingerprint).await.flatten() {
                Some(found) => {
                    link.ask(|store| async move { store.release(&fingerprint).await }).await;
                    Advice::Believe(found)
                }
                None => Advice::Read,
            },
        }
    }

    /// What the others know; `None` if they can't be asked.
    async fn known(&self, link: &Link, fingerprint: Id) -> Option<Option<Box<WholeReading>>> {
        let found = link.ask(|store| async move { store.content(&fingerprint).await }).await?;
        if found.is_some() {
            self.claims().remove(&fingerprint);
            link.record_content();
        }
        Some(found.map(Box::new))
    }

    /// The number of another machine's claim whose time is over.
    fn lapsed(&self, fingerprint: &Id, size: u64) -> Option<u32> {
        let (number, since) = self.claims().get(fingerprint).copied()?;
        let allowed = PATIENCE + Duration::from_secs(size / BYTES_PER_SECOND);
        (since.elapsed() >= allowed).then_some(number)
    }

    fn record_claim(&self, fingerprint: Id, number: u32) {
        let mut claims = self.claims();
        let known = claims.entry(fingerprint).or_insert((number, Instant::now()));
        if known.0 != number {
            *known = (number, Instant::now());
        }
    }

    fn claims(&self) -> std::sync::MutexGuard<'_, HashMap<Id, (u32, Instant)>> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Peers for Contents {
    fn ask(&self, file: &Sighting) -> Advice {
        let Some(link) = self.links.link() else { return Advice::Read };
        let Some(fingerprint) = fingerprint(file) else { return Advice::Read };
        block_on(self.asked(&link, fingerprint, file.stamp.size)).unwrap_or(Advice::Read)
    }

    fn tell(&self, file: &Sighting, found: Option<&WholeReading>) {
        let Some(link) = self.links.link().filter(|link| link.writes()) else { return };
        let Some(fingerprint) = fingerprint(file) else { return };
        self.claims().remove(&fingerprint);
        block_on(async {
            if let Some(found) = found.cloned() {
                let put =
                    link.ask(|store| async move { store.put_content(&fingerprint, &found).await });
                if put.await.is_some() {
                    link.record_added();
                }
            }
            link.ask(|store| async move { store.release(&fingerprint).await }).await;
        });
    }
}

/// What the others know this file by; `None` if it can't be read, or has changed, which reading it will tell.
fn fingerprint(Sighting { path, stamp }: &Sighting) -> Option<Id> {
    let taken = File::open(path).and_then(|file| {
        let found = Stamp::of(path)?;
        Ok((found.is_same_version(stamp)).then_some(checkpoint::fingerprint(&file, stamp)?))
    });
    taken.inspect_err(|error| debug!("{}: {error}", path.display())).ok()?
}

/// Waits for an answer on a thread that may wait. Without a runtime nobody can be asked.
fn block_on<T>(what: impl Future<Output = T>) -> Option<T> {
    Handle::try_current().ok().map(|runtime| runtime.block_on(what))
}

#[cfg(test)]
mod tests;
