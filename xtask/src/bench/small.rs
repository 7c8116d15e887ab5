//! Thousands of checkpoints of a few megabytes in all: only the tensors that identify the architecture.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Result, bail};
use protocol::{Client, State};
use serde_json::{Map, json};

use super::lab::Lab;
use crate::{
    daemon::{self, Daemon, Options},
    folders, process,
};

pub(super) const COUNT: usize = 2000;

/// The number of folders.
const FOLDERS: usize = 20;

/// Folders per parent folder.
const SHELF: usize = 50;

/// The tensors by which an SD 1.x UNet is recognized.
const TENSORS: [(&str, &[usize]); 6] = [
    ("input_blocks.0.0.weight", &[1, 4, 1, 1]),
    ("input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight", &[1, 768]),
    ("out.0.weight", &[1]),
    ("out.2.weight", &[1, 1, 1, 1]),
    ("time_embed.0.weight", &[1, 1]),
    ("time_embed.2.weight", &[1, 1]),
];

/// A models folder of small checkpoints, and a data folder with a cache of them.
pub(super) struct Known {
    pub(super) models: PathBuf,
    pub(super) folders: Vec<PathBuf>,
    pub(super) data: PathBuf,
    no_tensorrt: PathBuf,
    count: usize,
}

impl Known {
    /// Writes `count` checkpoints into `folders` folders, fifty of which share a parent.
    pub(super) fn write(lab: &Lab, name: &str, count: usize, folders: usize) -> Result<Self> {
        eprintln!("writing {count} small checkpoints");
        let models = lab.dir(&format!("{name}/models"))?;
        let place = |folder| models.join(format!("shelf {}/folder {folder}", folder / SHELF));
        let (data, no_tensorrt) =
            (lab.dir(&format!("{name}/data"))?, lab.dir(&format!("{name}/no-tensorrt"))?);
        let folders: Vec<_> = (0..folders).map(place).collect();
        let known = Self { models, folders, data, no_tensorrt, count };
        for folder in &known.folders {
            folders::make(folder)?;
        }
        for number in 0..count {
            write(&known.folders[number % known.folders.len()], number)?;
        }
        Ok(known)
    }

    /// Starts a daemon on them. Without TensorRT it can only identify them.
    pub(super) fn daemon(&self, lab: &Lab, settle_seconds: Option<f64>) -> Result<Daemon> {
        self.daemon_with(lab, &self.no_tensorrt, settle_seconds)
    }

    /// Starts a daemon on them with the TensorRT libraries in a folder.
    pub(super) fn daemon_with(
        &self,
        lab: &Lab,
        tensorrt: &Path,
        settle_seconds: Option<f64>,
    ) -> Result<Daemon> {
        let options = Options {
            models: &self.models,
            data: &self.data,
            tensorrt,
            compute_capability: None,
            settle_seconds,
            baked: false,
        };
        Daemon::start(&lab.programs, &options)
    }

    /// Waits until all are identified.
    pub(super) fn ready(&self, daemon: &mut Daemon) -> Result<Client> {
        let mut client = daemon.ready(&self.data)?;
        let (limit, pause) = (Duration::from_secs(120), Duration::from_millis(5));
        process::until("identifying all checkpoints", limit, pause, || {
            let counts = daemon::status(&mut client)?.counts;
            if let Some(rejected) = counts.get(&State::Rejected) {
                bail!("{rejected} small checkpoints were rejected");
            }
            let known = |state| counts.get(&state).copied().unwrap_or_default();
            let all = known(State::Queued) + known(State::Building);
            Ok((all == self.count).then_some(()))
        })?;
        Ok(client)
    }
}

/// Writes the checkpoints and lets a daemon read them.
pub(super) fn learn(lab: &Lab) -> Result<Known> {
    let known = Known::write(lab, "small", COUNT, FOLDERS)?;
    let mut daemon = known.daemon(lab, Some(0.1))?;
    known.ready(&mut daemon)?;
    daemon.stop();
    Ok(known)
}

pub(super) fn write(dir: &Path, number: usize) -> Result<()> {
    let mut header = Map::new();
    let mut end = 0;
    for (name, shape) in TENSORS {
        let start = end;
        end += 4 * shape.iter().product::<usize>();
        let tensor = json!({"dtype": "F32", "shape": shape, "data_offsets": [start, end]});
        header.insert(format!("model.diffusion_model.{name}"), tensor);
    }
    let header = serde_json::to_vec(&header)?;
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    // Different weights in each, so that all are different checkpoints.
    let weights = (number as u64).to_le_bytes();
    file.extend(weights.iter().cycle().take(end));
    fs::write(dir.join(format!("small {number}.safetensors")), file)?;
    Ok(())
}
