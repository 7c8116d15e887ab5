//! Assembles and runs the daemon.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Result;
use engine::Library;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot},
};
use tracing::info;

use crate::metrics;
use crate::{
    api,
    cache::DiskCache,
    claim::Claim,
    event::{Event, Mailbox},
    gate::{Driver, Machine, Timed},
    jobs::WorkerProcess,
    metrics::Metrics,
    notices::{Heralds, Notices},
    owners::{Owners, Settings},
    publish,
};

/// Runs the daemon until SIGTERM or SIGINT, with the configuration that `settings` reads, again on SIGHUP. `file` is
/// where front ends' changes of it are written.
///
/// # Errors
/// If it can't start: an invalid configuration, another daemon with the same data folder or socket, or a data
/// folder that can't be written.
pub async fn run(settings: Settings, file: PathBuf) -> Result<()> {
    let mut config = settings()?;
    let claim = Claim::take(&config.data_dir)?;
    let library = Library::open(&config.data_dir)?;
    let learned = config.data_dir.join("learned");
    let store = Arc::new(DiskCache::open(&learned));
    // Whoever may open its files could also hold their locks.
    let _ = fs::set_permissions(&learned, Permissions::from_mode(0o700));
    let builder = Arc::new(WorkerProcess { logs: config.data_dir.join("logs") });
    let (listener, socket) = api::Socket::open(places(&config.socket))?;
    // The index tells front ends.
    config.socket = socket.path().map_or(config.socket, Path::to_owned);
    let access = api::Access::new(&config.admins);
    let path = config.socket.clone();

    let (sender, receiver) = mpsc::unbounded_channel();
    let mailbox = Mailbox(sender);
    let gpus = Arc::new(Timed::new(Driver::default()));
    let sampler = Box::new(Machine::new(gpus.clone(), config.webui_url.as_deref()));
    let metrics = Arc::new(Metrics::default());
    if let Some(address) = config.metrics {
        metrics::serve(address, metrics.clone()).await?;
    }
    let mut owners = Owners::new(config, library, store, builder, gpus, sampler, mailbox.clone());
    owners.settings = Some(settings);
    owners.settings_file = Some(file);
    owners.metrics = metrics;
    owners.notices = Notices::new(Some(Arc::new(Heralds::start())));
    owners.claim = Some(claim);
    watch_index(mailbox.clone(), owners.config.data_dir.clone());
    let serve = {
        let mailbox = mailbox.clone();
        move |listener| tokio::spawn(api::serve(listener, access.clone(), mailbox.clone()))
    };
    let (stop, stopped) = oneshot::channel();
    let keeper = tokio::spawn(api::keep(socket, listener, serve, stopped));
    heed_signals(mailbox)?;
    info!(socket = %path.display(), "sdtrtd {} started", env!("CARGO_PKG_VERSION"));
    owners.run(receiver).await;

    drop(stop);
    let _ = keeper.await;
    info!("stopped");
    Ok(())
}

fn watch_index(mailbox: Mailbox, data_dir: PathBuf) {
    publish::watch(data_dir, move || mailbox.send(Event::IndexTouched));
}

/// Where the socket may be: the configured place, or any of the usual ones.
fn places(configured: &Path) -> Vec<PathBuf> {
    let usual = config::sockets();
    let is_usual = usual.first().is_some_and(|first| first == configured);
    if is_usual { usual } else { vec![configured.to_owned()] }
}

fn heed_signals(mailbox: Mailbox) -> Result<()> {
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        loop {
            mailbox.send(tokio::select! {
                _ = hang_up.recv() => Event::Reload,
                _ = terminate.recv() => Event::Stop,
                _ = interrupt.recv() => Event::Stop,
            });
        }
    });
    Ok(())
}
