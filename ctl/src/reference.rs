//! What a person types for a checkpoint, as the daemon understands it: an id, a file name, or the very path at which it
//! found the file. The daemon has another working directory, and other paths may lead to the same file.

use std::{
    ffi::{OsStr, OsString},
    fs,
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::MetadataExt,
    },
    path::{self, Component, Path, PathBuf},
};

use anyhow::{Context, Result};
use protocol::{Checkpoint, question, shown_path};

use crate::daemon::Daemon;

/// The reference that `typed` is. A path by which the daemon does not know the file becomes one by which it does.
pub(crate) fn reference(daemon: &mut Daemon, typed: &OsStr) -> Result<String> {
    let typed = unwrapped(typed);
    let typed = Path::new(&typed);
    // What holds no slash is an id or a file name, unless only a file here has it.
    let is_path = typed.as_os_str().as_encoded_bytes().contains(&b'/');
    let is_link_here = !is_path && fs::symlink_metadata(typed).is_ok();
    if !is_path && !is_link_here {
        return Ok(shown_path(typed));
    }
    let absolute = absolute(typed)?;
    let Ok(file) = fs::metadata(&absolute) else {
        return Ok(shown_path(if is_path { &absolute } else { typed }));
    };
    let list = daemon.ask(question::list())?;
    let name = (!is_path).then(|| shown_path(typed));
    if let Some(name) = name.filter(|name| list.iter().any(|known| is_called(known, name))) {
        return Ok(name);
    }
    let known = known_path(&list, &absolute, |path| {
        fs::metadata(path).is_ok_and(|other| (other.dev(), other.ino()) == (file.dev(), file.ino()))
    });
    Ok(known.unwrap_or_else(|| shown_path(&absolute)))
}

/// The location that is this path, or what it leads to, or the same file by another name.
fn known_path(
    list: &[Checkpoint],
    absolute: &Path,
    is_same: impl Fn(&Path) -> bool,
) -> Option<String> {
    let locations = || list.iter().flat_map(|checkpoint| &checkpoint.locations);
    let by_path =
        |path: &Path| locations().find(|location| **location == shown_path(path)).cloned();
    by_path(absolute)
        .or_else(|| by_path(&fs::canonicalize(absolute).ok()?))
        .or_else(|| locations().find(|location| is_same(Path::new(location))).cloned())
}

fn is_called(checkpoint: &Checkpoint, name: &str) -> bool {
    let paths = checkpoint.locations.iter().map(Path::new);
    let is_it = |path: &Path| [path.file_name(), path.file_stem()].contains(&Some(name.as_ref()));
    checkpoint.key().to_string().starts_with(name) || paths.into_iter().any(is_it)
}

/// Without what file managers put around a path that is pasted: quotes, white space, `file://`. A file that is there as
/// it was typed stays.
fn unwrapped(typed: &OsStr) -> OsString {
    if fs::symlink_metadata(typed).is_ok() {
        return typed.to_owned();
    }
    let mut bytes = typed.as_bytes().trim_ascii();
    for quote in [b'\'', b'"'] {
        if let [first, inner @ .., last] = bytes
            && (*first, *last) == (quote, quote)
        {
            bytes = inner;
        }
    }
    let lower: Vec<u8> = bytes.iter().take(7).map(u8::to_ascii_lowercase).collect();
    if lower == b"file://" {
        let rest = &bytes[7..];
        // `file://localhost/…` and `file://HOST/…` are this machine's too, as file managers write them.
        let path = rest.iter().position(|byte| *byte == b'/').map_or(rest, |at| &rest[at..]);
        return OsString::from_vec(percent_encoding::percent_decode(path).collect());
    }
    OsStr::from_bytes(bytes).to_owned()
}

/// Absolute, links kept: the daemon knows a checkpoint by the path at which it found it.
fn absolute(path: &Path) -> Result<PathBuf> {
    let climbs = path.components().any(|component| component == Component::ParentDir);
    let resolved = match (climbs, path.parent(), path.file_name()) {
        // What `..` means depends on the links before it.
        (true, Some(parent), Some(name)) => fs::canonicalize(parent).map(|dir| dir.join(name)),
        _ => path::absolute(path),
    };
    resolved.with_context(|| format!("cannot resolve the path '{}'", path.display()))
}

#[cfg(test)]
mod tests {
    use std::{env, os::unix::fs::symlink};

    use protocol::State;

    use super::*;

    #[test]
    fn paths_become_absolute() {
        let here = env::current_dir().unwrap();
        let here = here.display();
        for (typed, expected) in [
            ("./model.safetensors", format!("{here}/model.safetensors")),
            ("sub/model.safetensors", format!("{here}/sub/model.safetensors")),
            ("src/../model.safetensors", format!("{here}/model.safetensors")),
            ("/m//x.safetensors", "/m/x.safetensors".to_owned()),
        ] {
            assert_eq!(shown_path(&absolute(Path::new(typed)).unwrap()), expected, "{typed}");
        }
    }

    #[test]
    fn names_that_are_not_utf8_take_the_form_that_the_daemon_shows() {
        assert_eq!(shown_path(Path::new(OsStr::from_bytes(b"a\xff.ckpt"))), "a\u{fffd}ff.ckpt");
    }

    #[test]
    fn what_is_pasted_is_unwrapped() {
        for (typed, expected) in [
            ("0123abcd", "0123abcd"),
            ("model.safetensors", "model.safetensors"),
            ("dream shaper (v8).safetensors", "dream shaper (v8).safetensors"),
            (" /m/a b.safetensors\n", "/m/a b.safetensors"),
            ("'/m/a b.safetensors'", "/m/a b.safetensors"),
            ("\"/m/a.safetensors\" ", "/m/a.safetensors"),
            ("file:///m/a%20b%C3%BC.safetensors", "/m/a bü.safetensors"),
            ("File://localhost/m/a.safetensors\r\n", "/m/a.safetensors"),
            ("'file:///m/a.safetensors'", "/m/a.safetensors"),
            ("'", "'"),
        ] {
            assert_eq!(unwrapped(OsStr::new(typed)), OsStr::new(expected), "{typed}");
        }
    }

    #[test]
    fn another_path_to_a_known_file_is_the_known_one() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let at = |name: &str| dir.join(name);
        fs::create_dir(at("m")).unwrap();
        fs::write(at("m/a.ckpt"), "a").unwrap();
        fs::write(at("m/b.ckpt"), "b").unwrap();
        fs::hard_link(at("m/a.ckpt"), at("hard.ckpt")).unwrap();
        symlink(at("m/a.ckpt"), at("soft.ckpt")).unwrap();
        symlink(at("m"), at("folder")).unwrap();
        let list = ["m/b.ckpt", "m/a.ckpt"].map(|name| Checkpoint {
            weights_id: None,
            unet_id: None,
            architecture: None,
            state: State::Ready,
            reason: None,
            remarks: Vec::new(),
            locations: vec![shown_path(&at(name))],
            engines: vec![],
            coming: vec![],
        });
        for name in ["m/a.ckpt", "hard.ckpt", "soft.ckpt", "folder/a.ckpt"] {
            let file = fs::metadata(at(name)).unwrap();
            let found = known_path(&list, &at(name), |path| {
                fs::metadata(path).is_ok_and(|other| other.ino() == file.ino())
            });
            assert_eq!(found, Some(shown_path(&at("m/a.ckpt"))), "{name}");
        }
        fs::write(at("other.ckpt"), "").unwrap();
        assert_eq!(known_path(&list, &at("other.ckpt"), |_| false), None);
    }
}
