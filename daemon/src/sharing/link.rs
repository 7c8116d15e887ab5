//! An open store: what it is asked, what came of that, and whether it is worth asking again.

use std::{
    collections::VecDeque,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Instant, SystemTime},
};

use anyhow::{Context, Result};
use config::{SharedStore, StoreMode};
use protocol::StoreStatus;
use store::{
    Address, Breaker, BreakerLimits, Limits, PublicKey, SigningKey, Store, StoreError, Trust,
};
use tracing::{info, warn};

/// What was refused that is remembered.
const REFUSED: usize = 10;

/// LinkState when something about the store has changed.
pub(crate) type Announce = Arc<dyn Fn() + Send + Sync>;

/// A store that this machine shares with others.
pub(crate) struct Link {
    /// `None` if it can't be opened as it is configured.
    store: Option<Store>,
    url: String,
    mode: StoreMode,
    /// Whether there is a key to sign with.
    can_sign: bool,
    told: Mutex<LinkState>,
    tell: Announce,
}

/// What came of asking.
struct LinkState {
    breaker: Breaker,
    /// What a person must mend.
    problem: Option<String>,
    /// Why the last question got no answer, if it got none.
    failure: Option<String>,
    engines_taken: u64,
    contents_taken: u64,
    added: u64,
    /// How often it has answered again after it did not.
    returns: u64,
    refused: VecDeque<String>,
}

impl Link {
    /// The store of this configuration. `seen` is the file that remembers how new its objects were.
    pub(super) fn new(config: &SharedStore, seen: PathBuf, tell: Announce) -> Self {
        let mut problem = None;
        let key = match config.mode {
            StoreMode::Read => None,
            StoreMode::ReadWrite => signing_key(config)
                .inspect_err(|error| {
                    problem = Some(format!(
                        "{error:#}; nothing is added to the store until there is one: `sdtrtctl store keygen`, \
                         then `sdtrtctl reload`"
                    ));
                })
                .ok(),
        };
        let can_sign = key.is_some();
        let opened = open(&config.url, &config.trusted_keys, key, Some(seen));
        let store = match opened {
            Ok(store) => Some(store),
            Err(error) => {
                problem = Some(format!("the store can't be used: {error:#}"));
                None
            }
        };
        if config.trusted_keys.is_empty() && problem.is_none() {
            problem = Some(
                "trusted_keys is empty, so nothing in the store counts: `sdtrtctl store trust KEY`"
                    .to_owned(),
            );
        }
        problem.iter().for_each(|problem| warn!("{problem}"));
        let told = Mutex::new(LinkState::new(problem));
        let url = store.as_ref().map_or_else(String::new, |store| store.address().to_string());
        Self { store, url, mode: config.mode, can_sign, told, tell }
    }

    /// One that a client names for one request.
    ///
    /// # Errors
    /// If it can't be opened.
    pub(crate) fn named(url: &str, trusted_keys: &[String]) -> Result<Self> {
        let store = open(url, trusted_keys, None, None)?;
        let url = store.address().to_string();
        let (told, tell) = (Mutex::new(LinkState::new(None)), Arc::new(|| ()));
        Ok(Self { store: Some(store), url, mode: StoreMode::Read, can_sign: false, told, tell })
    }

    /// Whether this machine adds to it.
    pub(super) fn writes(&self) -> bool {
        self.mode == StoreMode::ReadWrite && self.can_sign && self.store.is_some()
    }

    /// Asks a store that did not answer, if it may be asked, though nothing is wanted of it; whether it answers again.
    pub(super) async fn probe(&self) -> bool {
        let is_away = self.told().breaker.problem().is_some();
        is_away && self.ask(|store| async move { store.probe().await }).await.is_some()
    }

    /// How often it has answered again after it did not: what was in it may be lost.
    pub(super) fn returns(&self) -> u64 {
        self.told().returns
    }

    /// Asks the store, unless it has not answered lately. `None` if it does not answer, or what it has is refused, which
    /// is told to whoever looks.
    pub(super) fn ask<'a, T, F>(
        &'a self,
        question: impl FnOnce(Store) -> F,
    ) -> Pin<Box<dyn Future<Output = Option<T>> + Send + 'a>>
    where
        T: Send + 'a,
        F: Future<Output = Result<T, StoreError>> + Send + 'a,
    {
        let store = self.store.clone();
        let store = store.filter(|_| self.told().breaker.may_ask(now()));
        let Some(answer) = store.map(question) else { return Box::pin(async { None }) };
        Box::pin(async move { self.note(answer.await) })
    }

    fn note<T>(&self, answer: Result<T, StoreError>) -> Option<T> {
        let (value, changed) = {
            let mut told = self.told();
            let was_away = told.breaker.problem().is_some();
            let (value, news) = match answer {
                Err(StoreError::Away { reason }) => {
                    told.breaker.failed(now(), reason.clone());
                    told.failure = Some(format!("it does not answer: {reason}"));
                    if !was_away && told.breaker.problem().is_some() {
                        warn!(
                            "the store {} does not answer: {reason}; it is asked again later",
                            self.url
                        );
                    }
                    (None, true)
                }
                Err(error) => {
                    told.succeeded();
                    (None, told.record_refused(error.to_string()))
                }
                Ok(value) => {
                    told.succeeded();
                    (Some(value), false)
                }
            };
            if was_away && told.breaker.problem().is_none() {
                info!("the store {} answers again", self.url);
                told.returns += 1;
            }
            (value, news || was_away != told.breaker.problem().is_some())
        };
        if changed {
            (self.tell)();
        }
        value
    }

    /// What this machine can't use, and why.
    pub(super) fn refuse(&self, what: String) {
        if self.told().record_refused(what) {
            (self.tell)();
        }
    }

    /// An engine was taken.
    pub(super) fn record_engine(&self) {
        self.told().engines_taken += 1;
        (self.tell)();
    }

    /// A content hash was taken.
    pub(super) fn record_content(&self) {
        self.told().contents_taken += 1;
        (self.tell)();
    }

    /// Something was added.
    pub(super) fn record_added(&self) {
        self.told().added += 1;
        (self.tell)();
    }

    /// Why it did not do what it was asked last.
    pub(super) fn why(&self) -> String {
        let told = self.told();
        let last = told.failure.as_ref().or(told.problem.as_ref()).or_else(|| told.refused.back());
        last.cloned().unwrap_or_else(|| "it is not there".to_owned())
    }

    /// As clients are shown it.
    pub(super) fn shown(&self) -> StoreStatus {
        let told = self.told();
        let away = told.breaker.problem();
        let retry_at = away.map(|(_, next)| {
            let left = next.saturating_duration_since(now());
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            now.unwrap_or_default().as_secs() + left.as_secs()
        });
        let away = away.map(|(reason, _)| format!("it does not answer: {reason}"));
        StoreStatus {
            url: self.url.clone(),
            mode: match self.mode {
                StoreMode::Read => "read",
                StoreMode::ReadWrite => "read-write",
            }
            .to_owned(),
            problem: told.problem.clone().or(away),
            retry_at,
            engines_taken: told.engines_taken,
            contents_taken: told.contents_taken,
            added: told.added,
            refused: told.refused.iter().cloned().collect(),
        }
    }

    fn told(&self) -> MutexGuard<'_, LinkState> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LinkState {
    fn new(problem: Option<String>) -> Self {
        Self {
            breaker: Breaker::new(BreakerLimits::default()),
            problem,
            failure: None,
            engines_taken: 0,
            contents_taken: 0,
            added: 0,
            returns: 0,
            refused: VecDeque::new(),
        }
    }

    fn succeeded(&mut self) {
        self.breaker.succeeded();
        self.failure = None;
    }

    /// Whether that is new.
    fn record_refused(&mut self, what: String) -> bool {
        if self.refused.contains(&what) {
            return false;
        }
        warn!("{what}");
        self.refused.push_back(what);
        if self.refused.len() > REFUSED {
            self.refused.pop_front();
        }
        true
    }
}

/// As the daemon's other timers have it.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn open(
    url: &str,
    trusted_keys: &[String],
    key: Option<SigningKey>,
    seen: Option<PathBuf>,
) -> Result<Store> {
    let address: Address = url.parse()?;
    let keys = trusted_keys.iter().map(|key| {
        key.parse::<PublicKey>().with_context(|| format!("trusted_keys: '{key}' is no public key"))
    });
    let trust = Trust::new(keys.collect::<Result<_>>()?);
    Ok(Store::open(&address, trust, key, seen, Limits::default())?)
}

fn signing_key(config: &SharedStore) -> Result<SigningKey> {
    let path = config.key();
    SigningKey::read(&path).with_context(|| format!("cannot use the key {}", path.display()))
}
