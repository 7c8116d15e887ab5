//! What writers that were killed leave in a folder: object_store writes `NAME#NUMBER` aside, and neither lists nor deletes
//! such a file.

use std::{fs, io, path::Path, time::UNIX_EPOCH};

use tokio::task::spawn_blocking;

use crate::{
    Kind, StoreError,
    backend::{Backend, ROOT},
    names,
    reach::Reach,
};

/// A file that was being written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Leftover {
    pub(crate) kind: Kind,
    /// Its name below `v1/`.
    pub(crate) name: String,
    pub(crate) bytes: u64,
    /// When it was last written, in seconds since 1970.
    pub(crate) written: u64,
}

impl Backend {
    /// The files in a folder that were, or are, being written.
    pub(crate) async fn leftovers(&self) -> Result<Vec<Leftover>, StoreError> {
        let Reach::Folder(root, _) = &self.reach else { return Ok(Vec::new()) };
        let root = root.join(ROOT);
        let found = spawn_blocking(move || {
            let mut found = Vec::new();
            for kind in Kind::ALL {
                let folder = names::folder(kind);
                search(&root.join(folder), folder, kind, &mut found)?;
            }
            Ok(found)
        });
        let found = found.await.map_err(|error| StoreError::away(error.to_string()))?;
        found.map_err(|error: io::Error| StoreError::away(format!("its files: {error}")))
    }

    /// Removes one of them.
    pub(crate) async fn remove_leftover(&self, name: &str) -> Result<(), StoreError> {
        let Reach::Folder(root, _) = &self.reach else { return Ok(()) };
        let path = root.join(ROOT).join(name);
        let removed = spawn_blocking(move || fs::remove_file(path)).await;
        match removed.map_err(io::Error::other) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Ok(Err(error)) | Err(error) => Err(StoreError::away(format!("{name}: {error}"))),
        }
    }
}

fn search(folder: &Path, name: &str, kind: Kind, found: &mut Vec<Leftover>) -> io::Result<()> {
    let listing = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in listing {
        let entry = entry?;
        let Ok(file) = entry.file_name().into_string() else { continue };
        let name = format!("{name}/{file}");
        let meta = match entry.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        if meta.is_dir() {
            search(&entry.path(), &name, kind, found)?;
        } else if is_aside(kind, &name) && meta.is_file() {
            let written = meta.modified()?.duration_since(UNIX_EPOCH);
            let written = written.map_or(0, |since| since.as_secs());
            found.push(Leftover { kind, name, bytes: meta.len(), written });
        }
    }
    Ok(())
}

/// Whether it is an object of ours that is being written.
fn is_aside(kind: Kind, name: &str) -> bool {
    name.rsplit_once('#').is_some_and(|(object, number)| {
        number.parse::<u64>().is_ok() && names::parse(kind, object).is_some()
    })
}
