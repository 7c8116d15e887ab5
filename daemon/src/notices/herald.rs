//! What tells notices to the world.

use config::Config;
use protocol::State;
use tokio::sync::mpsc;
use tracing::{debug, warn};
use zbus::Connection;

use super::{Notice, desktop, hooks, text};

/// Tells notices.
pub(crate) trait Herald: Send + Sync {
    /// Tells these as the configuration says, and returns at once.
    fn tell(&self, notices: Vec<Notice>, config: &Config);
}

/// Hooks, and the desktop of the session that sdtrtd runs in.
pub(crate) struct Heralds(mpsc::UnboundedSender<Telling>);

/// What is to be told, as the configuration said then.
struct Telling {
    notices: Vec<Notice>,
    on_ready: Vec<String>,
    on_failed: Vec<String>,
    is_shown: bool,
}

impl Heralds {
    /// Starts them; they tell one thing after the other.
    pub(crate) fn start() -> Self {
        let (sender, mut errands) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(errand) = errands.recv().await {
                run(errand).await;
            }
        });
        Self(sender)
    }
}

impl Herald for Heralds {
    fn tell(&self, notices: Vec<Notice>, config: &Config) {
        let Config { on_ready, on_failed, notifications: is_shown, .. } = config;
        let (on_ready, on_failed, is_shown) = (on_ready.clone(), on_failed.clone(), *is_shown);
        // It ends with the daemon.
        let _ = self.0.send(Telling { notices, on_ready, on_failed, is_shown });
    }
}

async fn run(errand: Telling) {
    if errand.is_shown
        && let Err(error) = show(&errand.notices).await
    {
        // Most machines that it runs on as a service have no desktop.
        debug!("the desktop shows no notification: {error}");
    }
    for notice in &errand.notices {
        let hook = if notice.state == State::Ready { &errand.on_ready } else { &errand.on_failed };
        if let Err(error) = hooks::run(hook, notice).await {
            warn!("the hook for {} failed: {error:#}", notice.path);
        }
    }
}

async fn show(notices: &[Notice]) -> zbus::Result<()> {
    let bus = Connection::session().await?;
    for (title, lines) in text::shown(notices) {
        desktop::show(&bus, &title, &lines).await?;
    }
    Ok(())
}
