//! Other content under known names, while engines are built with weights inside.

use std::{
    collections::HashMap,
    fs::{self, File, FileTimes},
    io::Write,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use checkpoint::{Checkpoint, Dtype, Sample, UNET_PREFIX};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::Value;

use super::{super::lab::Lab, Builds, random, write};
use crate::daemon;

/// Contents that take the place of others.
const OTHERS: u64 = 12;

/// After this time nothing wrong may be listed.
const NOTICE: Duration = Duration::from_secs(5);

/// All contents that there are, and what must be known of each.
pub(super) struct Contents {
    others: Vec<PathBuf>,
    /// The sample of the weights of each UNet, by UNet id.
    samples: HashMap<String, String>,
    pub(super) exchanges: u64,
    pub(super) wrong_ids: u64,
    pub(super) wrong_engines: u64,
}

impl Contents {
    /// Those in the models folder, and others beside it.
    pub(super) fn new(lab: &Lab, models: &Path) -> Result<Self> {
        let folder = lab.dir("kills/others")?;
        let path = |number| folder.join(format!("{number}.safetensors"));
        let others: Vec<_> = (0..OTHERS).map(path).collect();
        for (number, other) in (1000..).zip(&others) {
            write(lab, number, other)?;
        }
        let mut samples = HashMap::new();
        let own =
            fs::read_dir(models)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
        for path in own.iter().chain(&others) {
            let checkpoint = Checkpoint::open(path)?;
            let unet = checkpoint.ids()?.unet.to_string();
            samples.insert(unet, sample(&checkpoint)?);
        }
        Ok(Self { others, samples, exchanges: 0, wrong_ids: 0, wrong_engines: 0 })
    }

    /// Puts another content under a name in the models folder, in one of the ways in which that is done.
    pub(super) fn exchange(&mut self, models: &Path) -> Result<()> {
        let files =
            fs::read_dir(models)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
        let any = |of: &[PathBuf]| of.get(random(of.len() as u64) as usize).cloned();
        let (file, second) = (any(&files).context("no file")?, any(&files).context("no file")?);
        let other = any(&self.others).context("no other")?;
        match random(3) {
            0 => overwrite(&file, &other)?,
            1 => {
                let aside = models.join("aside.part");
                fs::copy(&other, &aside)?;
                fs::rename(aside, &file)?;
            }
            _ if file == second => return Ok(()),
            _ => renameat_with(CWD, &file, CWD, &second, RenameFlags::EXCHANGE)?,
        }
        self.exchanges += 1;
        Ok(())
    }

    /// Counts what is listed under another id than its content has, some time after the last exchange, and engines
    /// that have other weights inside than their key says.
    pub(super) fn count_wrong(&mut self, builds: &mut Builds<'_>) -> Result<()> {
        thread::sleep(NOTICE);
        for entry in daemon::list(&mut builds.client)? {
            // What is being read has no id yet.
            let Some(listed) = &entry.weights_id else { continue };
            for location in &entry.locations {
                let content = Checkpoint::open(Path::new(location))?.ids()?.weights;
                if content != *listed {
                    eprintln!("wrong: {location} is listed as {listed} and is {content}");
                    self.wrong_ids += 1;
                }
            }
        }
        self.wrong_engines += self.strangers(&builds.data.join("engines"))?;
        Ok(())
    }

    fn strangers(&self, engines: &Path) -> Result<u64> {
        let mut wrong = 0;
        for entry in fs::read_dir(engines)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let Ok(text) = fs::read(&path) else { continue };
            let manifest: Value = serde_json::from_slice(&text)?;
            // Engines fixed to one size are shared: they have no weights that could be wrong.
            let Some(unet) = manifest["spec"]["weights"]["baked"].as_str() else { continue };
            let sample =
                self.samples.get(unet).context("an engine of no content that there was")?;
            if manifest["sample"].as_str() != Some(sample) {
                eprintln!("wrong: {} has not the weights of {unet}", path.display());
                wrong += 1;
            }
        }
        Ok(wrong)
    }
}

/// Writes another content into a file, whose size and times stay.
fn overwrite(file: &Path, other: &Path) -> Result<()> {
    let times = fs::metadata(file)?;
    let times = FileTimes::new().set_accessed(times.accessed()?).set_modified(times.modified()?);
    let content = fs::read(other)?;
    let mut file = File::options().write(true).open(file)?;
    ensure!(file.metadata()?.len() == content.len() as u64, "contents of two sizes");
    file.write_all(&content)?;
    file.set_times(times)?;
    Ok(())
}

/// As the manifest of an engine with these weights has it.
fn sample(checkpoint: &Checkpoint) -> Result<String> {
    let mut sample = Sample::default();
    for tensor in checkpoint.unet() {
        ensure!(tensor.dtype == Dtype::F16, "{} is not in fp16", tensor.name);
        let mut first = vec![0; Sample::BYTES.min(usize::try_from(tensor.bytes)?)];
        checkpoint.file().read_exact_at(&mut first, tensor.offset)?;
        sample.add(tensor.name.strip_prefix(UNET_PREFIX).unwrap_or(&tensor.name), &first);
    }
    Ok(sample.id().to_string())
}
