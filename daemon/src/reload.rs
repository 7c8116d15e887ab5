//! A changed configuration, without a restart.

use anyhow::{Context, Result};
use config::Config;
use engine::Target;
use protocol::Reloaded;
use tracing::{info, warn};

use crate::{event_loop::Actor, gate::gpu::compute_capabilities};

/// Reads the configuration from wherever the daemon was told it is, and checks it.
pub type Settings = Box<dyn Fn() -> Result<Config> + Send>;

impl Actor {
    /// Reads the configuration again and applies what a running daemon can. A broken one changes
    /// nothing.
    pub(crate) fn reload(&mut self) -> Result<Reloaded> {
        let settings = self.settings.as_ref().context("there is no configuration to read")?;
        let mut new = settings()?;
        let old = &self.world.config;
        let mut reloaded = Reloaded::default();
        for key in old.changes(&new) {
            let list =
                if key.needs_restart { &mut reloaded.needs_restart } else { &mut reloaded.applied };
            list.push(key.name.to_owned());
        }
        new.data_dir.clone_from(&old.data_dir);
        new.socket.clone_from(&old.socket);
        new.webui_url.clone_from(&old.webui_url);
        new.admins.clone_from(&old.admins);
        new.metrics = old.metrics;
        self.apply(new);
        info!(
            applied = reloaded.applied.join(", "),
            needs_restart = reloaded.needs_restart.join(", "),
            "the configuration was read again"
        );
        Ok(reloaded)
    }

    /// As [`Self::reload`], for those who get no answer.
    pub(crate) fn reload_and_tell(&mut self) {
        self.manager.reloading();
        if let Err(error) = self.reload() {
            warn!("the configuration stays as it was: {error:#}");
        }
        self.manager.ready();
    }

    fn apply(&mut self, new: Config) {
        let old = std::mem::replace(&mut self.world.config, new);
        let new = &self.world.config;
        self.world.catalogue.set_settle(new.settle());
        let other_window = old.idle_seconds != new.idle_seconds;
        let moved = old.models_dirs != new.models_dirs;
        if moved {
            // What is no longer watched is not heard of any more.
            self.notifier = self.mailbox.notifier();
        }
        if moved || old.keep_model_json != new.keep_model_json {
            self.webuis = keeper(new);
            self.places = None;
        }
        let other_libraries = old.tensorrt_dir != new.tensorrt_dir || moved;
        if let Ok(target) = &self.world.target {
            let runtime = target.runtime.clone();
            let target = Target::new(runtime, new, &compute_capabilities(&self.world.gpus));
            self.world.set_target(Ok(target));
        }
        if other_libraries {
            self.look_for_runtime(None);
        }
        if other_window {
            self.close_gates();
        }
        self.world.news.reconfigured = true;
        self.scan_now();
        self.due.now();
    }
}

/// What keeps the web UIs' indexes true under this configuration.
pub(crate) fn keeper(config: &Config) -> crate::publish::Keeper {
    crate::publish::Keeper::new(
        config.models_dirs.clone(),
        config.data_dir.join("webui"),
        config.keep_model_json,
    )
}
