//! The demo's checkpoints.

use std::{
    fs,
    io::{Read, Seek, SeekFrom, Write},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::{Instant, SystemTime},
};

use anyhow::{Context, Result};
use config::units::{measured_size, measured_time};

use super::say;
use crate::{cargo::Programs, process};

/// Smaller files are not checkpoints, but perhaps LoRAs or embeddings.
const LEAST: u64 = 500_000_000;

/// Random weights with SD 1.5's shapes: as large and as slow to build as a real checkpoint.
pub(super) fn generate(programs: &Programs, models: &Path) -> Result<PathBuf> {
    let path = models.join("sd15.safetensors");
    say("writing a full-size SD 1.5 checkpoint with random weights");
    let started = Instant::now();
    write_full_size(programs, "sd15", &path)?;
    let bytes = fs::metadata(&path)?.len();
    println!(
        "{}, {} in {}",
        path.display(),
        measured_size(bytes),
        measured_time(started.elapsed())
    );
    Ok(path)
}

/// Writes a full-size checkpoint, sd15 or sdxl.
pub(crate) fn write_full_size(programs: &Programs, name: &str, path: &Path) -> Result<()> {
    process::run(Command::new(&programs.goldens).args(["--full-size", name]).arg(path))
}

/// Writes another checkpoint of the same kind beside a .safetensors: a copy with a different last value.
pub(super) fn another(first: &Path) -> Result<PathBuf> {
    let path = first.with_file_name("another.safetensors");
    let aside = path.with_extension("part");
    fs::copy(first, &aside)?;
    let mut file = fs::OpenOptions::new().read(true).write(true).open(&aside)?;
    file.seek(SeekFrom::End(-2))?;
    let mut last = [0; 2];
    file.read_exact(&mut last)?;
    file.seek(SeekFrom::End(-2))?;
    file.write_all(&last.map(|byte| byte ^ 1))?;
    fs::rename(aside, &path)?;
    println!("{}", path.display());
    Ok(path)
}

/// Links to the user's newest checkpoint: only the link will be moved.
pub(super) fn link(from: &Path, models: &Path) -> Result<PathBuf> {
    let from = from.canonicalize().with_context(|| format!("no folder {}", from.display()))?;
    let newest = newest(&from)?.with_context(|| {
        format!(
            "no .safetensors or .ckpt of {} or more in {}",
            measured_size(LEAST),
            from.display()
        )
    })?;
    let path = models.join(newest.file_name().context("a file has a name")?);
    symlink(&newest, &path)?;
    say(&format!("linking to {}; the file itself is not changed", newest.display()));
    Ok(path)
}

fn newest(dir: &Path) -> Result<Option<PathBuf>> {
    let mut newest: Option<(SystemTime, PathBuf)> = None;
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        let entries =
            fs::read_dir(&dir).with_context(|| format!("cannot list {}", dir.display()))?;
        for entry in entries.flatten() {
            let path = entry.path();
            // A linked folder may lead back here; a linked file is fine.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                dirs.push(path);
            } else if let Some(modified) = checkpoint(&path)
                && newest.as_ref().is_none_or(|(so_far, _)| modified > *so_far)
            {
                newest = Some((modified, path));
            }
        }
    }
    Ok(newest.map(|(_, path)| path))
}

fn checkpoint(path: &Path) -> Option<SystemTime> {
    let extension = path.extension()?;
    let known = ["safetensors", "ckpt"].iter().any(|one| extension.eq_ignore_ascii_case(one));
    let metadata = known.then(|| fs::metadata(path).ok()).flatten()?;
    (metadata.is_file() && metadata.len() >= LEAST).then(|| metadata.modified().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn the_newest_large_file_is_linked() {
        let dir = tempfile::tempdir().unwrap();
        let (from, models) = (dir.path().join("from"), dir.path().join("models"));
        fs::create_dir_all(from.join("sub")).unwrap();
        fs::create_dir(&models).unwrap();
        let write = |name: &str, bytes, age| {
            let file = File::create(from.join(name)).unwrap();
            file.set_len(bytes).unwrap();
            file.set_modified(SystemTime::now() - std::time::Duration::from_secs(age)).unwrap();
        };
        write("old.safetensors", LEAST, 9);
        write("sub/newer.CKPT", LEAST, 5);
        write("lora.safetensors", LEAST - 1, 1);
        write("video.mkv", LEAST, 1);
        let path = link(&from, &models).unwrap();
        assert_eq!(path, models.join("newer.CKPT"));
        assert_eq!(
            fs::read_link(path).unwrap(),
            from.canonicalize().unwrap().join("sub/newer.CKPT")
        );
        assert!(link(&models.join("none"), &models).is_err());
    }
}
