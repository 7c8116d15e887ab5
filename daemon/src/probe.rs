use std::path::Path;

use config::Config;
use engine::FLAVOUR;
use protocol::{Gpu, Machine, Runtime};
use tokio::task::spawn_blocking;

use crate::{
    gate::{Driver, Found, Gpus, Problem, Timed, module_version},
    jobs::find_runtime,
};

/// Describes this machine and what engines are built with, for `sdtrtctl doctor` and `setup`, which need no
/// running daemon.
pub async fn probe(config: &Config) -> Machine {
    let gpus = spawn_blocking(gpus);
    let found = find_runtime(config).await;
    let (listed, gpus) = gpus.await.unwrap_or_default();
    let driver = listed.gpus.first().map(|gpu| gpu.driver.clone()).filter(|told| !told.is_empty());
    let problem = listed.problem.as_ref();
    Machine {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        driver: driver.or_else(|| module_version(Path::new("/"))).or_else(|| {
            // Without a GPU the driver reports nothing else.
            problem.is_none().then(|| "installed".to_owned())
        }),
        driver_problem: problem.map(ToString::to_string),
        driver_broken: problem.is_some_and(|problem| !matches!(problem, Problem::Absent(_))),
        gpus,
        runtime_problem: found.as_ref().err().map(ToString::to_string),
        runtime: found.ok().map(|runtime| Runtime {
            flavour: FLAVOUR.to_owned(),
            path: runtime.library().to_string_lossy().into_owned(),
            version: runtime.version,
        }),
    }
}

/// The GPUs, and their use.
fn gpus() -> (Found, Vec<Gpu>) {
    let driver = Timed::new(Driver::default());
    let listed = driver.list();
    let readings = driver.read(&listed.gpus).unwrap_or_default();
    let mut readings = readings.into_iter();
    let shown = listed.gpus.iter().map(|gpu| Gpu {
        uuid: gpu.uuid.clone(),
        name: gpu.name.clone(),
        compute_capability: gpu.compute_capability.to_string(),
        reading: readings.next(),
    });
    let shown = shown.collect();
    (listed, shown)
}
