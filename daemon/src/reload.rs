//! Applies a changed configuration without a restart.

use anyhow::{Context, Result};
use config::Config;
use protocol::Reloaded;
use tracing::{info, warn};

use crate::owners::Owners;

impl Owners {
    /// Reloads the configuration and applies what a running daemon can. An invalid one changes nothing.
    pub(crate) fn reload(&mut self) -> Result<Reloaded> {
        let settings = self.settings.as_ref().context("there is no configuration to read")?;
        let mut new = settings()?;
        let old = &self.config;
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
        self.record_config(new);
        info!(
            applied = reloaded.applied.join(", "),
            needs_restart = reloaded.needs_restart.join(", "),
            "the configuration was read again"
        );
        Ok(reloaded)
    }

    /// Reloads the configuration and logs the result, if no client waits for it.
    pub(crate) fn reload_and_tell(&mut self) {
        self.manager.reloading();
        if let Err(error) = self.reload() {
            warn!("the configuration stays as it was: {error:#}");
        }
        self.manager.ready();
    }

    fn record_config(&mut self, new: Config) {
        let old = std::mem::replace(&mut self.config, new);
        let new = &self.config;
        self.inventory.set_settle(new.settle());
        self.inventory.set_ignored(new.ignored());
        self.inventory.set_rescan(new.rescan());
        let moved = old.models_dirs != new.models_dirs;
        if moved {
            self.inventory.set_dirs(&new.models_dirs);
        }
        if moved || old.keep_model_json != new.keep_model_json {
            self.publisher.record_other_folders(new);
        }
        if old.store != new.store {
            self.sharing.configure(new);
            self.inventory.set_peers(self.sharing.peers());
        }
        if old.idle_seconds != new.idle_seconds {
            self.gate.close(new.idle());
        }
        // The GPUs are listed again in either case.
        if moved || old.tensorrt_dir != new.tensorrt_dir {
            self.look_for_runtime(None);
        } else {
            self.look_for_gpus();
        }
        self.renew_target();
        self.news.reconfigured = true;
        self.inventory.scan_now();
        self.timers.now();
    }
}
