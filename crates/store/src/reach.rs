//! The way to a store's objects: a provider's client, or a folder that may not be mounted.

use std::{
    fmt,
    fs::{self, OpenOptions},
    io::{self, Write},
    path::PathBuf,
    process,
    sync::Arc,
};

use bytes::Bytes;
use object_store::{ObjectStore, local::LocalFileSystem};
use tokio::task::spawn_blocking;

use crate::{
    Refusal, StoreError,
    backend::{ROOT, Written},
    fault::away,
};

/// How objects are reached.
pub(crate) enum Reach {
    /// In a folder, which may be there later only, as what it is mounted from. The function is the way to its files.
    Folder(PathBuf, fn(LocalFileSystem) -> Arc<dyn ObjectStore>),
    /// By a provider's client.
    Client(Arc<dyn ObjectStore>),
}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(root, _) => f.debug_tuple("Folder").field(root).finish(),
            // It would show the query of a web server's address, which may be a signature.
            Self::Client(_) => f.write_str("Client"),
        }
    }
}

impl Reach {
    /// What is asked.
    pub(crate) async fn client(&self) -> Result<Arc<dyn ObjectStore>, StoreError> {
        let (root, way) = match self {
            Self::Client(client) => return Ok(client.clone()),
            Self::Folder(root, way) => (root.clone(), *way),
        };
        // What is mounted may hang, and must not stop the tasks that run on this thread.
        let opened = spawn_blocking(move || {
            // Never made: where nothing is mounted it would be in the way of what is.
            if !root.is_dir() {
                let why = "it is no folder, or not mounted";
                return Err(StoreError::away(format!("{}: {why}", root.display())));
            }
            let files = LocalFileSystem::new_with_prefix(&root);
            let files = files.map_err(|error| away(&root.display().to_string(), &error))?;
            Ok(way(files.with_fsync(true)))
        });
        opened.await.map_err(|error| StoreError::away(error.to_string()))?
    }

    /// Refuses what is no regular file in a folder: whoever opens a pipe waits for its other end.
    pub(crate) async fn check_kind(&self, name: &str) -> Result<(), StoreError> {
        let Self::Folder(root, _) = self else { return Ok(()) };
        let path = root.join(ROOT).join(name);
        let found = spawn_blocking(move || path.metadata()).await;
        match found {
            Ok(Ok(found)) if !found.is_file() => {
                let refusal = Refusal::NotWhatItSays("it is no regular file".to_owned());
                Err(StoreError::refused(name, refusal))
            }
            _ => Ok(()),
        }
    }

    /// Has a client of a network file system forget that it has found nothing of this name, which it may believe for a
    /// minute: to whoever writes in a folder the server says what it is like now.
    pub(crate) async fn forget_absence(&self, name: &str) {
        let Self::Folder(root, _) = self else { return };
        // As what is being written, so that it is cleaned up should it stay.
        let path = root.join(ROOT).join(format!("{name}#{}", process::id()));
        let written = spawn_blocking(move || {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::write(&path, [])?;
            fs::remove_file(&path)
        });
        // Without it a file may be read twice.
        let _ = written.await;
    }

    /// Removes the folder of this name, if it is empty.
    pub(crate) async fn remove_folder(&self, name: &str) {
        if let Self::Folder(root, _) = self {
            let path = root.join(ROOT).join(name);
            // Left, it is only untidy.
            let _ = spawn_blocking(move || fs::remove_dir(path)).await;
        }
    }
}

/// Creates a file that is not there yet. Readers may see half of it.
pub(crate) async fn create_in_place(path: PathBuf, bytes: Bytes) -> io::Result<Written> {
    let created = spawn_blocking(move || {
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        OpenOptions::new().write(true).create_new(true).open(&path)?.write_all(&bytes)
    });
    match created.await.map_err(io::Error::other)? {
        Ok(()) => Ok(Written::Done),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Written::Other),
        Err(error) => Err(error),
    }
}
