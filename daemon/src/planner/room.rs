//! Whether there is space for an engine.

use config::Config;
use engine::Weights;

use super::Obstacle;
use crate::inventory::Identity;

/// The most that a plan takes beyond two bytes for each of the UNet's parameters (measured: 30 MB).
const PLAN_OVERHEAD_BYTES: u64 = 256 << 20;

/// The most that a shared engine's plan takes (measured: 100 MB).
const SHARED_PLAN_BYTES: u64 = 120_000_000;

/// Bytes that a checkpoint's engine takes at most.
pub(crate) fn needed(identity: &Identity, weights: &Weights) -> u64 {
    match weights {
        Weights::Baked(_) => {
            identity.unet_parameters.saturating_mul(2).saturating_add(PLAN_OVERHEAD_BYTES)
        }
        Weights::Shared(_) => SHARED_PLAN_BYTES,
    }
}

/// Bytes that a copy of a checkpoint's weights takes while a baked engine is built.
pub(crate) fn copied(identity: &Identity, weights: &Weights) -> u64 {
    match weights {
        Weights::Baked(_) => identity.unet_parameters.saturating_mul(2),
        Weights::Shared(_) => 0,
    }
}

/// Returns why an engine of `needed` bytes can't be built for now: the quota is `lacking` bytes even if
/// everything evictable is removed, or too little of the disk is `free`.
pub(crate) fn obstacle(needed: u64, lacking: u64, free: u64, config: &Config) -> Option<Obstacle> {
    if let Some(quota) = config.quota.filter(|_| lacking > 0) {
        return Some(Obstacle::Quota { quota, lacking, needed });
    }
    let min_free = config.min_free.as_u64();
    (free < needed.saturating_add(min_free)).then(|| Obstacle::Disk {
        data_dir: config.data_dir.clone(),
        free,
        needed,
        min_free,
    })
}

#[cfg(test)]
mod tests {
    use config::ByteSize;

    use super::*;

    #[test]
    fn the_quota_and_the_floor() {
        const GB: u64 = 1_000_000_000;
        let config = Config {
            data_dir: "/data".into(),
            quota: Some(ByteSize::gb(50)),
            min_free: ByteSize::gb(5),
            ..Config::default()
        };
        for (lacking, free, said) in [
            (0, 7 * GB, None),
            (0, 7 * GB - 1, Some("/data has 7.0 GB free, the engine takes up to 2.0 GB")),
            (0, 0, Some("5.0 GB must stay free (`min_free`)")),
            (GB / 2, 7 * GB, Some("the quota of 50.0 GB is 500.0 MB short for an engine")),
            (1, 0, Some("quota")),
        ] {
            let told = obstacle(2 * GB, lacking, free, &config).map(|why| why.to_string());
            assert_eq!(told.is_some(), said.is_some(), "{lacking} {free}: {told:?}");
            assert!(
                told.unwrap_or_default().contains(said.unwrap_or_default()),
                "{lacking} {free}"
            );
        }
    }
}
