//! The extension's folder in the front end: links to the installed extension, so that it is updated with
//! sdtrt, and a note with the daemon's data folder.

use std::{
    env, fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::{Folders, FrontEnd};

/// The extension's folder, and the name that the web UI shows.
const NAME: &str = "sdtrt";

/// Read by the extension.
const NOTE: &str = "sdtrt.json";

/// Where a package puts the extension, from the folder that the program's own is in.
const SHARED: &str = "share/sdtrt/webui";

/// Where the extension was installed together with this program.
pub(crate) fn source(named: Option<&Path>) -> Result<PathBuf> {
    if let Some(named) = named {
        if !is_extension(named) {
            bail!(
                "{} does not contain the extension: {} is missing",
                named.display(),
                absent(named)
            );
        }
        return Ok(fs::canonicalize(named)?);
    }
    let program = env::current_exe()
        .and_then(fs::canonicalize)
        .context("cannot find the path of sdtrtctl")?;
    // In a parent folder: /usr for a package, or the source tree.
    let places = program.ancestors().skip(2).flat_map(|dir| [dir.join(SHARED), dir.join("webui")]);
    places.into_iter().find(|place| is_extension(place)).with_context(|| {
        format!(
            "the extension is not installed beside {}; pass its folder, `webui` in sdtrt's sources, with \
             --extension DIR",
            program.display()
        )
    })
}

fn is_extension(dir: &Path) -> bool {
    absent(dir).is_empty()
}

/// What a folder lacks of the extension, for any front end; empty if nothing.
fn absent(dir: &Path) -> &'static str {
    let all = FrontEnd::ALL.into_iter().flat_map(FrontEnd::links);
    all.map(|(_, part)| *part).find(|part| !dir.join(part).exists()).unwrap_or_default()
}

/// Links the extension at `source` into the front end, over links of an earlier time. Returns its folder.
pub(crate) fn link(folders: &Folders, source: &Path, data_dir: &Path) -> Result<PathBuf> {
    let folder = folders.extensions.join(NAME);
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let links = folders.front_end.links();
    for (name, _) in links {
        refuse_foreign(&folder.join(name))?;
    }
    for (name, part) in links {
        let place = folder.join(name);
        remove_link(&place)?;
        symlink(source.join(part), &place)
            .with_context(|| format!("cannot create the link {}", place.display()))?;
    }
    let data_dir = data_dir.to_str().context("the data folder's path is not UTF-8")?;
    let note = folder.join(NOTE);
    fs::write(&note, json!({ "data_dir": data_dir }).to_string())
        .with_context(|| format!("cannot write {}", note.display()))?;
    Ok(folder)
}

/// Removes the extension; returns whether it was installed. Other files in its folder stay.
pub(crate) fn unlink(folders: &Folders) -> Result<bool> {
    let folder = folders.extensions.join(NAME);
    let mut was_there = false;
    let links = folders.front_end.links();
    for (name, _) in links {
        refuse_foreign(&folder.join(name))?;
    }
    for (name, _) in links {
        was_there |= remove_link(&folder.join(name))?;
    }
    // Python leaves compiled files beside the node.
    let _ = fs::remove_dir_all(folder.join("__pycache__"));
    let _ = fs::remove_file(folder.join(NOTE));
    // It stays if it contains anything else.
    let _ = fs::remove_dir(&folder);
    Ok(was_there)
}

/// Fails if there is something other than a link.
fn refuse_foreign(place: &Path) -> Result<()> {
    match fs::symlink_metadata(place) {
        Ok(found) if !found.is_symlink() => bail!(
            "{} already exists and is not a link made by sdtrtctl; move it away first",
            place.display()
        ),
        _ => Ok(()),
    }
}

/// Whether there was one.
fn remove_link(place: &Path) -> Result<bool> {
    match fs::remove_file(place) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot remove {}", place.display())),
    }
}
