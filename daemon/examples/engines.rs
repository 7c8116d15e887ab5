//! Publishes an engine for every checkpoint in a folder, as builds would have, with a plan of a few
//! bytes that no GPU can run: `engines MODELS_DIR DATA_DIR TENSORRT_VERSION`. No daemon may be running.

use std::{env, ffi::OsString, fs, path::Path};

use anyhow::{Context, Result};
use checkpoint::{Checkpoint, Id, is_checkpoint_name};
use config::Config;
use sdtrtd::{
    build::{Built, Job, Library, Manifest, Runtime, Target, Task, Wanted},
    gpu::{Driver, Gpus},
    schedule::Identity,
    watch::Stamp,
};
use walkdir::WalkDir;

fn main() -> Result<()> {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let [models, data, version] = &arguments[..] else {
        anyhow::bail!("usage: engines MODELS_DIR DATA_DIR TENSORRT_VERSION");
    };
    let runtime = Runtime { version: version.to_string_lossy().into_owned(), libraries: None };
    let target = Target::new(runtime, &Config::default(), &Driver::default().list());
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
    let wanted = target.engine(&identity, &[path], true).context("the rules want no engine")?;
    let Wanted { spec, presets } = wanted;
    if library.manifests().contains_key(&spec.key()) {
        return Ok(());
    }
    let plan = spec.key().to_string();
    let scratch = library.scratch()?;
    let job = Job {
        task: Task::Build,
        spec: spec.clone(),
        checkpoint: path.to_owned(),
        stamp: Stamp::of(path)?,
        libraries: None,
        folder: scratch.path().to_owned(),
        gpu: None,
    };
    fs::write(job.plan(), &plan)?;
    fs::write(job.constants(), [])?;
    let blake3 = Id::from(blake3::hash(plan.as_bytes()));
    let built = Built { bytes: plan.len() as u64, blake3, peak_bytes: 0 };
    library.publish(&job, Manifest::new(spec, presets, identity.ids.weights, built, 0, 0.0))
}

fn identity(path: &Path) -> Result<Identity> {
    let checkpoint = Checkpoint::open(path)?;
    let unet_parameters = checkpoint.unet().map(|tensor| tensor.bytes / tensor.dtype.size()).sum();
    let ids = checkpoint.ids()?;
    let Checkpoint { architecture, tensors, .. } = checkpoint;
    let signature = checkpoint::signature(&architecture, &tensors);
    Ok(Identity { ids, architecture, signature, unet_parameters })
}
