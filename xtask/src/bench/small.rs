//! Thousands of checkpoints that take a few megabytes of the disk in all.

use std::{
    fs::File,
    io::Write,
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

/// The smallest UNet of SD 1.x's kind of which a graph can be made: one block on the way up.
const TENSORS: [(&str, &[u64]); 48] = [
    ("time_embed.0.weight", &[1, 32]),
    ("time_embed.0.bias", &[1]),
    ("time_embed.2.weight", &[1, 1]),
    ("time_embed.2.bias", &[1]),
    ("input_blocks.0.0.weight", &[32, 4, 3, 3]),
    ("input_blocks.0.0.bias", &[32]),
    ("output_blocks.0.0.in_layers.0.weight", &[64]),
    ("output_blocks.0.0.in_layers.0.bias", &[64]),
    ("output_blocks.0.0.in_layers.2.weight", &[32, 64, 3, 3]),
    ("output_blocks.0.0.in_layers.2.bias", &[32]),
    ("output_blocks.0.0.emb_layers.1.weight", &[32, 1]),
    ("output_blocks.0.0.emb_layers.1.bias", &[32]),
    ("output_blocks.0.0.out_layers.0.weight", &[32]),
    ("output_blocks.0.0.out_layers.0.bias", &[32]),
    ("output_blocks.0.0.out_layers.3.weight", &[32, 32, 3, 3]),
    ("output_blocks.0.0.out_layers.3.bias", &[32]),
    ("output_blocks.0.0.skip_connection.weight", &[32, 64, 1, 1]),
    ("output_blocks.0.0.skip_connection.bias", &[32]),
    ("output_blocks.0.1.norm.weight", &[32]),
    ("output_blocks.0.1.norm.bias", &[32]),
    ("output_blocks.0.1.proj_in.weight", &[32, 32, 1, 1]),
    ("output_blocks.0.1.proj_in.bias", &[32]),
    ("output_blocks.0.1.proj_out.weight", &[32, 32, 1, 1]),
    ("output_blocks.0.1.proj_out.bias", &[32]),
    ("output_blocks.0.1.transformer_blocks.0.norm1.weight", &[32]),
    ("output_blocks.0.1.transformer_blocks.0.norm1.bias", &[32]),
    ("output_blocks.0.1.transformer_blocks.0.norm2.weight", &[32]),
    ("output_blocks.0.1.transformer_blocks.0.norm2.bias", &[32]),
    ("output_blocks.0.1.transformer_blocks.0.norm3.weight", &[32]),
    ("output_blocks.0.1.transformer_blocks.0.norm3.bias", &[32]),
    ("output_blocks.0.1.transformer_blocks.0.attn1.to_q.weight", &[32, 32]),
    ("output_blocks.0.1.transformer_blocks.0.attn1.to_k.weight", &[32, 32]),
    ("output_blocks.0.1.transformer_blocks.0.attn1.to_v.weight", &[32, 32]),
    ("output_blocks.0.1.transformer_blocks.0.attn1.to_out.0.weight", &[32, 32]),
    ("output_blocks.0.1.transformer_blocks.0.attn1.to_out.0.bias", &[32]),
    ("output_blocks.0.1.transformer_blocks.0.attn2.to_q.weight", &[32, 32]),
    ("output_blocks.0.1.transformer_blocks.0.attn2.to_k.weight", &[32, 768]),
    ("output_blocks.0.1.transformer_blocks.0.attn2.to_v.weight", &[32, 768]),
    ("output_blocks.0.1.transformer_blocks.0.attn2.to_out.0.weight", &[32, 32]),
    ("output_blocks.0.1.transformer_blocks.0.attn2.to_out.0.bias", &[32]),
    ("output_blocks.0.1.transformer_blocks.0.ff.net.0.proj.weight", &[64, 32]),
    ("output_blocks.0.1.transformer_blocks.0.ff.net.0.proj.bias", &[64]),
    ("output_blocks.0.1.transformer_blocks.0.ff.net.2.weight", &[32, 32]),
    ("output_blocks.0.1.transformer_blocks.0.ff.net.2.bias", &[32]),
    ("out.0.weight", &[32]),
    ("out.0.bias", &[32]),
    ("out.2.weight", &[4, 32, 3, 3]),
    ("out.2.bias", &[4]),
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
            webui_url: None,
            hurried: false,
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
        end += 2 * shape.iter().product::<u64>();
        let tensor = json!({"dtype": "F16", "shape": shape, "data_offsets": [start, end]});
        header.insert(format!("model.diffusion_model.{name}"), tensor);
    }
    let header = serde_json::to_vec(&header)?;
    let mut start = (header.len() as u64).to_le_bytes().to_vec();
    start.extend(header);
    let mut file = File::create(dir.join(format!("small {number}.safetensors")))?;
    file.write_all(&start)?;
    // Zeros that take no room on the disk.
    file.set_len(start.len() as u64 + end)?;
    // Different weights in each, so that all are different checkpoints.
    file.write_all(&(number as u64).to_le_bytes())?;
    Ok(())
}
