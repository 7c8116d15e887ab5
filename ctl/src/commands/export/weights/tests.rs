use std::{fs::File, os::unix::ffi::OsStrExt};

use goldens::Manifest;
use tempfile::TempDir;

use super::*;

/// A checkpoint in a models folder, and an empty folder to export to.
fn folders() -> (TempDir, PathBuf, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let (models, out) = (temp.path().join("models"), temp.path().join("out"));
    fs::create_dir(&models).unwrap();
    fs::create_dir(&out).unwrap();
    let path = models.join("x.safetensors");
    Manifest::load("sd1").unwrap().write_checkpoint(&path).unwrap();
    (temp, path, out)
}

fn copied(source: &Path, dir: &Path) -> Result<Storage> {
    copy(&Source::open(source)?, dir, name(source))
}

#[test]
fn the_name_is_one_that_onnx_can_hold() {
    for (path, expected) in [
        (&b"/m/sd15.safetensors"[..], "sd15.safetensors"),
        (b"/m/\xff.safetensors", PLAIN_NAME),
        (b"/m/unet.onnx", PLAIN_NAME),
        (b"/m/unet.onnx.data", PLAIN_NAME),
        (b"/m/model..v2.safetensors", PLAIN_NAME),
    ] {
        assert_eq!(name(Path::new(OsStr::from_bytes(path))), expected);
    }
}

#[test]
fn a_copy_has_one_name_and_is_made_once() {
    let (_temp, source, out) = folders();
    let place = out.join("x.safetensors");
    // An older export's link, to here or to nowhere.
    for target in [&source, &out.join("nowhere")] {
        symlink(target, &place).unwrap();
        assert!(matches!(copied(&source, &out).unwrap(), Storage::Reflink | Storage::Copy));
        let metadata = fs::symlink_metadata(&place).unwrap();
        assert!(
            metadata.is_file()
                && metadata.nlink() == 1
                && fs::metadata(&source).unwrap().nlink() == 1
        );
        assert!(fs::read(&place).unwrap() == fs::read(&source).unwrap());
        assert_eq!(copied(&source, &out).unwrap(), Storage::Existing);
        assert_eq!(fs::symlink_metadata(&place).unwrap().ino(), metadata.ino());
        assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
        fs::remove_file(&place).unwrap();
    }
    // In its own folder.
    assert_eq!(copied(&source, source.parent().unwrap()).unwrap(), Storage::Existing);
    assert_eq!(fs::read_dir(source.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn a_file_that_shares_blocks_is_not_copied() {
    let (_temp, source, out) = folders();
    let (source, place) = (Source::open(&source).unwrap(), out.join("x.safetensors"));
    let reflink = |_: &File, to: &File| to.set_len(7).is_ok();
    assert_eq!(super::copy::copy(&source, &out, &place, reflink).unwrap(), Storage::Reflink);
    assert_eq!(fs::metadata(&place).unwrap().len(), 7);
}

#[test]
fn a_checkpoint_that_changes_while_it_is_copied_is_not_exported() {
    let (_temp, path, out) = folders();
    let (source, place) = (Source::open(&path).unwrap(), out.join("x.safetensors"));
    let changing = |_: &File, _: &File| {
        File::options().append(true).open(&path).unwrap().set_len(1).unwrap();
        false
    };
    let error = super::copy::copy(&source, &out, &place, changing).unwrap_err().to_string();
    assert!(error.contains("was changed while it was being copied"), "{error}");
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
}

#[test]
fn what_onnx_does_not_open_is_refused_and_stays() {
    let (_temp, source, out) = folders();
    let place = out.join("x.safetensors");
    symlink(&source, &place).unwrap();
    let error = copied(&place, &out).unwrap_err().to_string();
    assert!(error.contains("is a symbolic link") && error.contains("--link"), "{error}");
    assert!(place.is_symlink());
    fs::remove_file(&place).unwrap();

    fs::hard_link(&source, &place).unwrap();
    for file in [&source, &place] {
        let error = copied(file, &out).unwrap_err().to_string();
        assert!(error.contains("has other hard links") && error.contains("--link"), "{error}");
    }
    // But it can be copied to where it isn't yet.
    let elsewhere = tempfile::tempdir().unwrap();
    copied(&source, elsewhere.path()).unwrap();
    assert_eq!(fs::metadata(&place).unwrap().nlink(), 2);
}

#[test]
fn a_link_is_made_replaced_and_left_alone() {
    let temp = tempfile::tempdir().unwrap();
    let (models, out) = (temp.path().join("models"), temp.path().join("out"));
    fs::create_dir(&models).unwrap();
    fs::create_dir(&out).unwrap();
    let (old, new) = (models.join("old"), models.join("new"));
    fs::write(&old, "old").unwrap();
    fs::write(&new, "new").unwrap();
    for source in [&old, &new, &new] {
        assert_eq!(link(source, &out, "x").unwrap(), Storage::Link);
        assert_eq!(fs::read_link(out.join("x")).unwrap(), fs::canonicalize(source).unwrap());
    }
    // A link to nowhere is an older one too.
    fs::remove_file(&new).unwrap();
    link(&old, &out, "x").unwrap();
    assert_eq!(fs::read(out.join("x")).unwrap(), b"old");
    // Through the link that stands there: replacing it would leave a circle.
    link(&out.join("x"), &out, "x").unwrap();
    assert_eq!(fs::read(out.join("x")).unwrap(), b"old");
    // In the checkpoint's own folder.
    assert_eq!(link(&old, &models, "old").unwrap(), Storage::Existing);
    assert!(fs::symlink_metadata(&old).unwrap().is_file());
    assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
}

#[test]
fn what_no_export_writes_is_never_overwritten() {
    let (_temp, source, _) = folders();
    let out = tempfile::tempdir().unwrap();
    fs::write(out.path().join("file"), "kept").unwrap();
    // As long as the checkpoint.
    let mut other = fs::read(&source).unwrap();
    *other.last_mut().unwrap() ^= 1;
    fs::write(out.path().join("long"), &other).unwrap();
    fs::create_dir(out.path().join("folder")).unwrap();
    for name in ["file", "folder", "long"] {
        let opened = Source::open(&source).unwrap();
        for made in [link(&source, out.path(), name), copy(&opened, out.path(), name)] {
            let error = made.expect_err(name).to_string();
            assert!(error.contains("already exists"), "{error}");
        }
    }
    assert_eq!(fs::read(out.path().join("file")).unwrap(), b"kept");
    assert!(fs::read(out.path().join("long")).unwrap() == other);
}
