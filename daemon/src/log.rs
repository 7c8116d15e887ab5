//! The daemon's log: to the journal with fields when systemd runs it, otherwise to standard error. SIGUSR1
//! makes it detailed, SIGUSR2 restores the initial level.

use std::io::{self, IsTerminal};

use anyhow::Result;
use terminal::CleanWriter;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};
use tracing_subscriber::{
    EnvFilter, Layer, Registry, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

/// After SIGUSR1. The libraries' details would help no one.
const DETAILED: &str = "info,sdtrtd=debug";

/// Changes the log level.
pub struct Level {
    filter: reload::Handle<EnvFilter, Registry>,
}

/// Starts logging at the level in `RUST_LOG`.
pub fn start() -> Level {
    let (filter, handle) = reload::Layer::new(wanted());
    let subscriber = tracing_subscriber::registry().with(filter);
    match journal() {
        Some(journal) => subscriber.with(journal).init(),
        None => subscriber.with(standard_error()).init(),
    }
    Level { filter: handle }
}

fn wanted() -> EnvFilter {
    EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"))
}

/// systemd says whether standard error is the journal.
fn journal() -> Option<tracing_journald::Layer> {
    std::env::var_os("JOURNAL_STREAM")?;
    Some(tracing_journald::layer().ok()?.with_syslog_identifier("sdtrtd".to_owned()))
}

fn standard_error<S>() -> impl Layer<S>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    tracing_subscriber::fmt::layer()
        .with_writer(|| CleanWriter(io::stderr()))
        .with_ansi(io::stderr().is_terminal())
}

impl Level {
    /// Starts handling the signals.
    ///
    /// # Errors
    /// If signals can't be handled.
    pub fn heed_signals(self) -> Result<()> {
        let mut more = signal(SignalKind::user_defined1())?;
        let mut as_before = signal(SignalKind::user_defined2())?;
        tokio::spawn(async move {
            loop {
                let filter = tokio::select! {
                    _ = more.recv() => EnvFilter::new(DETAILED),
                    _ = as_before.recv() => wanted(),
                };
                let shown = filter.to_string();
                match self.filter.reload(filter) {
                    Ok(()) => info!("log level: {shown}"),
                    Err(error) => warn!("the log level can't be changed: {error}"),
                }
            }
        });
        Ok(())
    }
}
