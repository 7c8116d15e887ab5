//! What many tests need one of.

use checkpoint::{Architecture, Heads, Id, Ids, Kind};

use crate::schedule::{Identity, Outcome};

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
