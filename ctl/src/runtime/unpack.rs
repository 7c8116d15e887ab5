//! The libraries out of a wheel.

use std::{
    fs::{self, File},
    path::Path,
};

use anyhow::{Context, Result};
use config::runtime::Wheel;
use indicatif::{ProgressBar, ProgressStyle};
use wheel::Member;

/// Writes the libraries into the new folder `into`, and has them on the disk.
pub(super) fn unpack(file: File, wheel: &Wheel, into: &Path) -> Result<()> {
    let members = wheel
        .libraries
        .iter()
        .map(|name| Member { path: format!("{}/{name}", wheel.folder), target: into.join(name) });
    let members: Vec<_> = members.collect();
    fs::create_dir(into).with_context(|| format!("cannot create the folder {}", into.display()))?;
    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template("unpacking  {wide_bar}  {percent:>3} %")?);
    wheel::unpack(file, &members, |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    File::open(into)?.sync_all().with_context(|| format!("cannot sync {}", into.display()))
}

#[cfg(test)]
pub(super) mod tests {
    use std::{io::Write, path::PathBuf};

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
        let wheel = Wheel {
            package: "p",
            version: "9.9",
            sha256: wheel::sha256(&mut File::open(&path).unwrap()).unwrap().leak(),
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
        let into = temp.path().join("into");
        unpack(File::open(path).unwrap(), &wheel, &into).unwrap();
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
