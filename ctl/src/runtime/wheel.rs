//! A downloaded wheel: the check, and the libraries out of it.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, Write},
    path::Path,
};

use anyhow::{Context, Result};
use config::runtime::Wheel;
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};
use zip::ZipArchive;

/// Bytes read at a time.
const CHUNK: usize = 1 << 20;

/// The file's SHA-256 where it is not the wheel's. The file is at its start again afterwards.
pub(super) fn mismatch(file: &mut File, wheel: &Wheel) -> io::Result<Option<String>> {
    let mut hasher = Sha256::new();
    copy(file, &mut hasher, |_| {})?;
    file.rewind()?;
    let found = format!("{:x}", hasher.finalize());
    Ok((found != wheel.sha256).then_some(found))
}

/// Writes the libraries into the new folder `into`, and has them on the disk.
pub(super) fn unpack(file: File, wheel: &Wheel, into: &Path) -> Result<()> {
    let mut archive = ZipArchive::new(file).context("the wheel is not a zip file")?;
    let names = wheel.libraries.iter().map(|name| (name, format!("{}/{name}", wheel.folder)));
    let names: Vec<_> = names.collect();
    let mut total = 0;
    for (_, path) in &names {
        total += archive.by_name(path).with_context(|| lacks(path))?.size();
    }
    let bar = ProgressBar::new(total);
    bar.set_style(ProgressStyle::with_template("unpacking  {wide_bar}  {percent:>3} %")?);
    fs::create_dir(into).with_context(|| format!("cannot create the folder {}", into.display()))?;
    for (name, path) in &names {
        let mut entry = archive.by_name(path).with_context(|| lacks(path))?;
        let target = into.join(name);
        File::create(&target)
            .and_then(|mut file| {
                copy(&mut entry, &mut file, |bytes| bar.inc(bytes))?;
                file.sync_all()
            })
            .with_context(|| {
                let megabytes = total / 1_000_000;
                format!("cannot unpack {}, {megabytes} MB in total", target.display())
            })?;
    }
    bar.finish_and_clear();
    File::open(into)?.sync_all().with_context(|| format!("cannot sync {}", into.display()))
}

fn lacks(path: &str) -> String {
    format!("the wheel does not contain {path}")
}

fn copy(from: &mut impl Read, to: &mut impl Write, mut copied: impl FnMut(u64)) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        match from.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(bytes) => {
                to.write_all(&chunk[..bytes])?;
                copied(bytes as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::PathBuf;

    use config::runtime::{LIBRARY, ONNX_PARSER};
    use zip::{ZipWriter, write::SimpleFileOptions};

    use super::*;

    /// A wheel of the right form, and the pin for it.
    pub(crate) fn sample(dir: &Path) -> (PathBuf, Wheel) {
        write(dir, &[&format!("libs/{LIBRARY}"), &format!("libs/{ONNX_PARSER}"), "libs/other"])
    }

    fn write(dir: &Path, entries: &[&str]) -> (PathBuf, Wheel) {
        let path = dir.join("sample.whl");
        let mut zip = ZipWriter::new(File::create(&path).unwrap());
        for &entry in entries {
            zip.start_file(entry, SimpleFileOptions::default()).unwrap();
            zip.write_all(entry.as_bytes()).unwrap();
        }
        zip.finish().unwrap();
        let sha256 = format!("{:x}", Sha256::digest(fs::read(&path).unwrap()));
        let wheel = Wheel {
            package: "p",
            version: "9.9",
            sha256: sha256.leak(),
            download_mb: 1,
            installed_mb: 1,
            folder: "libs",
            libraries: &[LIBRARY, ONNX_PARSER],
            dir: "9.9",
        };
        (path, wheel)
    }

    #[test]
    fn only_the_libraries_are_unpacked() {
        let temp = tempfile::tempdir().unwrap();
        let (path, wheel) = sample(temp.path());
        let mut file = File::open(&path).unwrap();
        assert_eq!(mismatch(&mut file, &wheel).unwrap(), None);
        let into = temp.path().join("into");
        unpack(file, &wheel, &into).unwrap();
        let read = |name| fs::read_to_string(into.join(name)).unwrap();
        assert_eq!(read(LIBRARY), format!("libs/{LIBRARY}"));
        assert_eq!(read(ONNX_PARSER), format!("libs/{ONNX_PARSER}"));
        assert_eq!(fs::read_dir(&into).unwrap().count(), 2);
    }

    #[test]
    fn a_wheel_without_them_is_refused_by_name() {
        let temp = tempfile::tempdir().unwrap();
        let (path, wheel) = write(temp.path(), &["libs/other"]);
        let file = File::open(path).unwrap();
        let error = unpack(file, &wheel, &temp.path().join("into")).expect_err("lacks both");
        assert!(error.to_string().contains(LIBRARY), "{error}");
    }
}
