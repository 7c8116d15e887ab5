//! The configuration, read again while the daemon runs.

use config::Config;
use tracing::{info, warn};

use super::{actor::Actor, check_rules, gating::Gating};
use crate::build::Target;

/// Reads the configuration as it was read at the start: the file, and what was said instead of it.
pub(super) type Read = Box<dyn Fn() -> anyhow::Result<Config> + Send>;

impl Actor {
    /// Takes over what has changed in the configuration, and says what has to wait for a restart. One
    /// that is not valid changes nothing.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(super) fn reload(&mut self) -> anyhow::Result<()> {
        let config = (self.read_config)()?;
        config.check()?;
        check_rules(&config)?;
        self.apply(config);
        Ok(())
    }

    /// As [`Self::reload`], for those who get no answer.
    pub(super) fn reload_and_tell(&mut self) {
        self.manager.reloading();
        match self.reload() {
            Ok(()) => info!("the configuration was read again"),
            Err(error) => warn!("the configuration stays as it was: {error:#}"),
        }
        self.manager.ready();
    }

    fn apply(&mut self, new: Config) {
        let old = self.world.config.clone();
        for key in needing_restart(&old, &new) {
            warn!("`{key}` has changed, which counts once sdtrtd is started again");
        }
        let new = Config {
            data_dir: old.data_dir,
            socket: old.socket,
            settle_seconds: old.settle_seconds,
            keep_model_json: old.keep_model_json,
            webui_url: old.webui_url,
            webuis: old.webuis,
            admins: old.admins,
            metrics: old.metrics,
            ..new
        };
        if let Some(sampler) = self.gating.sampler.take() {
            self.gating = Gating::new(new.idle(), sampler);
        }
        self.world.config = new;
        if let Ok(target) = &self.world.target {
            let runtime = target.runtime.clone();
            let target = Target::new(runtime, &self.world.config, &self.world.gpus);
            self.world.set_target(Ok(target));
        }
        // Another TensorRT may be meant now, and other folders.
        self.look_for_runtime(None);
        self.scan_now();
        self.refresh();
    }
}

/// Keys that what is built at the start depends on.
fn needing_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let changed = [
        ("data_dir", old.data_dir != new.data_dir),
        ("socket", old.socket != new.socket),
        ("settle_seconds", old.settle().ne(&new.settle())),
        ("keep_model_json", old.keep_model_json != new.keep_model_json),
        ("webui_url", old.webui_url != new.webui_url),
        ("webuis", old.webuis != new.webuis),
        ("admins", old.admins != new.admins),
        ("metrics", old.metrics != new.metrics),
    ];
    changed.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_a_restart_is_named() {
        let old = Config::default();
        let new = Config {
            socket: "/other".into(),
            admins: vec!["alice".into()],
            orphan_days: 1.0,
            ..Config::default()
        };
        assert_eq!(needing_restart(&old, &new), ["socket", "admins"]);
        assert!(needing_restart(&old, &old).is_empty());
    }
}
