use config::Config;
use engine::FLAVOUR;
use protocol::{Gpu, Machine, Runtime};

use crate::{
    gate::{Driver, Gpus},
    jobs::find_runtime,
};

/// What there is to build with here, for `sdtrtctl doctor` and `setup`, which need no running
/// daemon.
pub async fn probe(config: &Config) -> Machine {
    let driver = Driver::default();
    let version = driver.version();
    let found = find_runtime(config).await;
    let gpu = |gpu: crate::gate::Gpu| Gpu {
        uuid: gpu.uuid,
        name: gpu.name,
        compute_capability: gpu.compute_capability.to_string(),
        reading: None,
    };
    Machine {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        driver_problem: version.as_ref().err().cloned(),
        driver: version.ok(),
        gpus: driver.list().into_iter().map(gpu).collect(),
        runtime_problem: found.as_ref().err().map(ToString::to_string),
        runtime: found.ok().map(|runtime| Runtime {
            flavour: FLAVOUR.to_owned(),
            path: runtime.library().to_string_lossy().into_owned(),
            version: runtime.version,
        }),
    }
}
