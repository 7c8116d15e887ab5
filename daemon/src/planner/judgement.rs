//! What validations and the web UI found out about engines.

use checkpoint::Id;
use engine::{Findings, Manifest, Proof};

use super::{Snapshot, ValidationCause};
use crate::gate::Gpu;

/// A finding about an engine's accuracy.
#[derive(Clone)]
pub(crate) struct Judgement<'a> {
    pub(crate) proof: &'a Proof,
    /// The GPU of the validation; absent if the web UI found it.
    pub(crate) gpu: Option<&'a Gpu>,
}

impl Snapshot<'_> {
    /// Whether the engine still needs its first validation on a GPU of this machine. Those of an earlier
    /// release's engines are not known any more, so these remain usable.
    pub(crate) fn is_unvalidated(&self, manifest: &Manifest) -> bool {
        let due =
            || self.due_validations(manifest).iter().any(|(_, due)| *due == ValidationCause::First);
        !manifest.is_former() && due()
    }

    /// Whether an engine may be used: it was validated wherever possible, and accurate with the weights that
    /// it was validated with.
    pub(crate) fn may_serve(&self, manifest: &Manifest) -> bool {
        !manifest.is_retired()
            && !self.is_unvalidated(manifest)
            && self.validations_of(manifest).all(|judged| judged.proof.holds())
    }

    /// Returns the last validation's finding for each of this machine's GPU models.
    fn validations_of<'a>(&'a self, manifest: &'a Manifest) -> impl Iterator<Item = Judgement<'a>> {
        self.found_on_models(manifest).filter_map(|(gpu, findings)| {
            let proof = findings.proof.as_ref().ok()?;
            Some(Judgement { proof, gpu: Some(gpu) })
        })
    }

    /// The same with all findings.
    pub(crate) fn found_on_models<'a>(
        &'a self,
        manifest: &'a Manifest,
    ) -> impl Iterator<Item = (&'a Gpu, &'a Findings)> {
        self.models().filter_map(|gpu| {
            let here = manifest.validations.iter().filter(|validation| validation.gpu == gpu.name);
            let last = here.max_by_key(|validation| validation.driver == gpu.driver)?;
            Some((gpu, &last.findings))
        })
    }

    /// Returns the decisive finding for an engine with the weights of `unet`: that it is wrong, or else the
    /// web UI's.
    pub(crate) fn judgement<'a>(
        &'a self,
        manifest: &'a Manifest,
        unet: &Id,
    ) -> Option<Judgement<'a>> {
        let webui = self.proofs.get(&(manifest.key, *unet));
        let webui = webui.map(|proof| Judgement { proof, gpu: None });
        let mut all = webui.into_iter().chain(self.validations_of(manifest)).collect::<Vec<_>>();
        let counts = all.iter().position(|judged| !judged.proof.holds()).unwrap_or(0);
        (counts < all.len()).then(|| all.swap_remove(counts))
    }

    /// Returns the decisive finding of an engine's validations: that it is wrong, or else the first.
    pub(crate) fn validated<'a>(&'a self, manifest: &'a Manifest) -> Option<Judgement<'a>> {
        let wrong = self.validations_of(manifest).find(|judged| !judged.proof.holds());
        wrong.or_else(|| self.validations_of(manifest).next())
    }
}
