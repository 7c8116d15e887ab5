//! Engines that are kept whatever comes.

use protocol::{Engine, Failure, Reply};

use crate::{api::other, owners::Owners};

impl Owners {
    /// Somebody wants engines kept whatever comes, or no longer does.
    pub(super) fn record_pin(&mut self, reference: &str, pinned: bool) -> Result<Reply, Failure> {
        let engines = self.engines_named(reference)?;
        for engine in &engines {
            let kept = self.library.record_pin(&engine.key, pinned);
            kept.map_err(|error| other(&format!("{error:#}")))?;
        }
        self.timers.now();
        let engines = engines.iter().map(|engine| Engine { pinned, ..Engine::clone(engine) });
        Ok(Reply::Engines(engines.collect()))
    }
}
