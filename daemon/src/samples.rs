//! What many tests need one of.

use checkpoint::{Architecture, Heads, Id, Ids, Kind};

use crate::{
    build::{BOUND, Findings, Proof, Trial},
    schedule::{Identity, Outcome},
};

/// SD 1.x.
pub(crate) fn sd1() -> Architecture {
    Architecture {
        kind: Kind::Sd1,
        in_channels: 4,
        context_width: 768,
        y_width: None,
        heads: Heads::Count(8),
    }
}

/// An SD 1.x checkpoint that was read, with ids of its own.
pub(crate) fn identified(name: &str) -> Outcome {
    let id = Id::from(blake3::hash(name.as_bytes()));
    Outcome::Identified(Identity {
        ids: Ids { weights: id, unet: id },
        architecture: sd1(),
        signature: Id::from(blake3::hash(b"sd1")),
        unet_parameters: 1,
    })
}

/// What running an engine on a GPU showed: an error, or what is no number.
pub(crate) fn findings(relative_error: Option<f64>) -> Findings {
    Findings {
        proof: Ok(Proof { relative_error, bound: BOUND }),
        proof_seconds: 4.0,
        fill_seconds: None,
        speeds: Vec::new(),
    }
}

/// A trial that found this.
pub(crate) fn trial(gpu: &str, driver: &str, relative_error: Option<f64>) -> Trial {
    Trial {
        gpu: gpu.to_owned(),
        driver: driver.to_owned(),
        unet: Id::from(blake3::hash(b"unet")),
        tried_at: 0,
        findings: findings(relative_error),
    }
}
