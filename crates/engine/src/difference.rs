//! Why an engine is outdated.

use std::mem;

use crate::{EngineSpec, Weights};

/// Describes what differs between an engine's `old` spec and the `new` one for the same UNet: `TensorRT
/// 1.6.1.120 → 1.7.1.116, recipe 1 → 2`. Empty if nothing does.
pub fn difference(old: &EngineSpec, new: &EngineSpec) -> String {
    // Destructured, so that a new field can't be forgotten here.
    let EngineSpec {
        weights,
        architecture,
        recipe,
        flavour,
        version,
        compute_capabilities,
        precision,
        profiles,
        controlnet,
    } = old;
    let differences = [
        (mem::discriminant(weights) != mem::discriminant(&new.weights)).then(|| {
            match new.weights {
                Weights::Baked(_) => "shared → baked".to_owned(),
                Weights::Shared(_) => "baked → shared".to_owned(),
            }
        }),
        (*flavour != new.flavour)
            .then(|| format!("{flavour} {version} → {} {}", new.flavour, new.version)),
        (*flavour == new.flavour && *version != new.version)
            .then(|| format!("TensorRT {version} → {}", new.version)),
        (*recipe != new.recipe).then(|| format!("recipe {recipe} → {}", new.recipe)),
        (*architecture != new.architecture).then(|| "architecture changed".to_owned()),
        (*compute_capabilities != new.compute_capabilities).then(|| {
            let [from, to] = [old, new].map(|spec| spec.compute_capability_names().join(", "));
            format!("compute capability {from} → {to}")
        }),
        (*precision != new.precision).then(|| format!("precision {precision} → {}", new.precision)),
        (*controlnet != new.controlnet).then(|| {
            if new.controlnet { "now with ControlNet" } else { "now without ControlNet" }.to_owned()
        }),
        // Engines for single presets replace one for all presets.
        (mem::discriminant(weights) == mem::discriminant(&new.weights)
            && *profiles != new.profiles)
            .then(|| "presets changed".to_owned()),
    ];
    differences.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use checkpoint::{Heads, Id};
    use unet::Precision;

    use super::*;
    use crate::{Profile, samples};

    fn spec() -> EngineSpec {
        EngineSpec {
            profiles: vec![Profile { inputs: BTreeMap::new() }],
            version: "1.6.1.120".to_owned(),
            ..samples::spec(Weights::Baked(Id::from(blake3::hash(b"unet"))))
        }
    }

    #[test]
    fn every_change_is_described() {
        type Change = fn(&mut EngineSpec);
        let table: [(Change, &str); 11] = [
            (|_| (), ""),
            (|new| new.version = "1.7.1.116".into(), "TensorRT 1.6.1.120 → 1.7.1.116"),
            (|new| new.flavour = "tensorrt".into(), "tensorrt-rtx 1.6.1.120 → tensorrt 1.6.1.120"),
            (|new| new.recipe = 2, "recipe 1 → 2"),
            (|new| new.weights = Weights::Shared(*new.weights.id()), "baked → shared"),
            (|new| new.architecture.heads = Heads::Count(5), "architecture changed"),
            (
                |new| new.compute_capabilities = ["8.9", "12.0"].map(|c| c.parse().unwrap()).into(),
                "compute capability default → 8.9, 12.0",
            ),
            (|new| new.precision = Precision::Fp32, "precision fp16 → fp32"),
            (|new| new.profiles.clear(), "presets changed"),
            (|new| new.controlnet = true, "now with ControlNet"),
            (
                |new| {
                    new.recipe = 3;
                    new.version = "1.7.1.116".into();
                },
                "TensorRT 1.6.1.120 → 1.7.1.116, recipe 1 → 3",
            ),
        ];
        for (change, said) in table {
            let mut new = spec();
            change(&mut new);
            assert_eq!(difference(&spec(), &new), said);
        }
    }
}
