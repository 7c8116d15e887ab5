//! Publishes engines for every checkpoint in a folder without building them; their plans are a few bytes that
//! no GPU can run: `engines MODELS_DIR DATA_DIR TENSORRT_VERSION`. No daemon may be running.

use std::{env, ffi::OsString, fs, path::Path};

use anyhow::Result;
use checkpoint::{Checkpoint, Id, Tensor, is_checkpoint_name};
use config::Config;
use engine::{Accumulation, Built, Job, Library, Manifest, Runtime, Source, Target, Task, Wanted};
use sdtrtd::{
    gate::{Driver, Gpus, gpu::compute_capabilities},
    inventory::Identity,
    planner::usual,
};
use walkdir::WalkDir;

fn main() -> Result<()> {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let [models, data, version] = &arguments[..] else {
        anyhow::bail!("usage: engines MODELS_DIR DATA_DIR TENSORRT_VERSION");
    };
    let runtime = Runtime { version: version.to_string_lossy().into_owned(), libraries: None };
    let target = Target::new(
        runtime,
        &Config::default(),
        &compute_capabilities(&Driver::default().list().gpus),
    );
    let mut library = Library::open(Path::new(data))?;
    for entry in WalkDir::new(models) {
        let path = entry?.into_path();
        if path.is_file() && is_checkpoint_name(&path) {
            publish(&mut library, &target, &path)?;
        }
    }
    Ok(())
}

fn publish(library: &mut Library, target: &Target, path: &Path) -> Result<()> {
    let identity = identity(path)?;
    for wanted in target.engines(&identity, &[path], &usual(identity.architecture.kind)) {
        publish_one(library, wanted, &identity)?;
    }
    Ok(())
}

fn publish_one(library: &mut Library, wanted: Wanted, identity: &Identity) -> Result<()> {
    let Wanted { spec, presets, .. } = wanted;
    if library.manifests().contains_key(&spec.key()) {
        return Ok(());
    }
    let plan = spec.key().to_string();
    let scratch = library.scratch()?;
    let job = Job {
        task: Task::Build,
        spec: spec.clone(),
        source: Source::Signature { parameters: Vec::new() },
        libraries: None,
        folder: scratch.path().to_owned(),
        gpu: None,
    };
    fs::write(job.plan(), &plan)?;
    let blake3 = Id::from(blake3::hash(plan.as_bytes()));
    let built = Built {
        bytes: plan.len() as u64,
        blake3,
        peak_bytes: 0,
        binding: None,
        accumulation: Accumulation::Unknown,
        weights: None,
    };
    library.publish(&job, Manifest::new(spec, presets, identity.ids.weights, built, 0, 0.0))
}

fn identity(path: &Path) -> Result<Identity> {
    let checkpoint = Checkpoint::open(path)?;
    let unet_parameters = checkpoint.parameters().map(Tensor::elements).sum();
    let (signature, remarks) = (checkpoint.signature(), checkpoint.remarks());
    let ids = checkpoint.ids()?;
    let architecture = checkpoint.architecture;
    Ok(Identity { ids, architecture, signature, unet_parameters, remarks })
}
