//! What the measurements share: programs, folders, a full-size checkpoint, many small ones.

use std::{
    cell::OnceCell,
    fs::{self, File},
    io,
    path::PathBuf,
    thread::available_parallelism,
};

use anyhow::Result;
use tempfile::TempDir;

use super::small;
use crate::{
    cargo::{self, Profile, Programs},
    demo, folders,
    setup::Kit,
};

pub(super) struct Lab {
    pub(super) programs: Programs,
    pub(super) kit: Kit,
    profile: Profile,
    folder: TempDir,
    small: OnceCell<small::Known>,
}

impl Lab {
    pub(super) fn new(profile: Profile) -> Result<Self> {
        let (programs, kit) = cargo::build_programs(profile)?;
        let folder = folders::work("bench-")?;
        Ok(Self { programs, kit, profile, folder, small: OnceCell::new() })
    }

    /// Creates an empty folder.
    pub(super) fn dir(&self, name: &str) -> Result<PathBuf> {
        let dir = self.folder.path().join(name);
        folders::make(&dir)?;
        Ok(dir)
    }

    /// Returns a full-size checkpoint, sd15 or sdxl, in the page cache.
    pub(super) fn full_size(&self, name: &str) -> Result<PathBuf> {
        let path = self.dir("full-size")?.join(format!("{name}.safetensors"));
        if !path.exists() {
            eprintln!("writing a full-size checkpoint, {name}");
            demo::write_full_size(&self.programs, name, &path)?;
        }
        io::copy(&mut File::open(&path)?, &mut io::sink())?;
        Ok(path)
    }

    /// Returns small checkpoints, and a data folder whose cache has them.
    pub(super) fn small(&self) -> Result<&small::Known> {
        if let Some(known) = self.small.get() {
            return Ok(known);
        }
        let known = small::learn(self)?;
        Ok(self.small.get_or_init(|| known))
    }

    /// The number of threads for both sides of a comparison.
    pub(super) fn threads() -> usize {
        available_parallelism().map_or(1, usize::from)
    }

    /// Describes this machine.
    pub(super) fn machine(&self) -> String {
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let model = model.map_or("an unknown CPU", |(_, model)| model);
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        format!(
            "{} threads of {model}, Linux {}, {} build",
            Self::threads(),
            kernel.trim(),
            self.profile.name()
        )
    }
}
