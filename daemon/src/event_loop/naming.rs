//! What people and other programs know files by.

use std::{
    collections::HashMap,
    ffi::OsStr,
    path::{Path, PathBuf},
    sync::Arc,
};

use checkpoint::{Folder, Id, Stamp};
use protocol::{Failure, FileNames, Reply};
use tokio::{sync::oneshot, task::spawn_blocking};

use crate::{
    api::text,
    event::Event,
    inventory::{A1111Hashes, Content, File, FileEvent, Names, Outcome, Said},
    owners::Owners,
};

/// A file to be named.
struct Nameless {
    path: Arc<Path>,
    stamp: Stamp,
    weights: Id,
}

impl Owners {
    /// Replies, away from the loop, with the names of the files of one checkpoint or of all.
    pub(super) fn name(&self, reference: Option<&str>, reply: oneshot::Sender<Reply>) {
        let files = match self.nameless(reference) {
            Ok(files) => files,
            Err(failure) => return drop(reply.send(Reply::Failed(failure))),
        };
        let (store, mailbox) = (self.store.clone(), self.mailbox.clone());
        let (dirs, webuis) = (self.config.models_dirs.clone(), self.config.webuis.clone());
        spawn_blocking(move || {
            let hashes = Arc::new(A1111Hashes::read(&dirs, &webuis));
            let mut folders: HashMap<PathBuf, Folder> = HashMap::new();
            let named = files.into_iter().map(|file| {
                let names = store.names(&file.stamp);
                let folder = file.path.parent().unwrap_or(&file.path);
                let folder =
                    folders.entry(folder.to_owned()).or_insert_with_key(|path| Folder::list(path));
                named(&file, names, folder, hashes.of(&file.path, &file.stamp))
            });
            let _ = reply.send(Reply::Names(named.collect()));
            mailbox.send(Event::Files(FileEvent::A1111Hashes(hashes)));
        });
    }

    /// Reads A1111's caches away from the loop, so that its hashes are known as references.
    pub(super) fn look_for_a1111_hashes(&self) {
        let (dirs, webuis) = (self.config.models_dirs.clone(), self.config.webuis.clone());
        let mailbox = self.mailbox.clone();
        spawn_blocking(move || {
            let hashes = Arc::new(A1111Hashes::read(&dirs, &webuis));
            mailbox.send(Event::Files(FileEvent::A1111Hashes(hashes)));
        });
    }

    fn nameless(&self, reference: Option<&str>) -> Result<Vec<Nameless>, Failure> {
        let only = reference.map(|reference| self.entry(reference)).transpose()?;
        let is_meant =
            |path: &Path| only.as_ref().is_none_or(|entry| entry.locations.contains(&text(path)));
        let files = self.inventory.catalogue().files();
        let mut nameless: Vec<_> = files
            .filter_map(|file| Some((file, identified(file)?)))
            .flat_map(|(file, weights)| {
                let stamp = file.stamp;
                file.paths.iter().map(move |path| Nameless { path: path.clone(), stamp, weights })
            })
            .filter(|file| is_meant(&file.path))
            .collect();
        nameless.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(nameless)
    }

    /// Returns where a file lies that somebody means by a hash of it; several, if it is the start of several.
    pub(crate) fn hashed_as(&self, said: &str) -> Vec<Arc<Path>> {
        let Some(said) = Said::new(said) else { return Vec::new() };
        let is_meant = |file: &&File| {
            let names = self.store.names(&file.stamp);
            let told = || {
                let mut told = file.paths.iter();
                told.find_map(|path| self.inventory.a1111_hashes().of(path, &file.stamp))
            };
            match names {
                Some(names) => names.are_meant(&said),
                None => told().is_some_and(|sha256| said.may_be_sha256(sha256)),
            }
        };
        let files = self.inventory.catalogue().files();
        let meant = files.filter(|file| identified(file).is_some()).filter(is_meant);
        meant.filter_map(|file| file.paths.iter().min().cloned()).collect()
    }
}

/// The weights id of a file that is a checkpoint.
fn identified(file: &File) -> Option<Id> {
    match &file.content {
        Content::Read(Outcome::Identified(identity)) => Some(identity.ids.weights),
        _ => None,
    }
}

fn named(file: &Nameless, names: Option<Names>, folder: &Folder, told: Option<&str>) -> FileNames {
    let beside = folder.sidecars(file.path.file_name().unwrap_or(OsStr::new("")));
    let known = FileNames {
        location: text(&file.path),
        weights_id: (!file.weights.is_provisional()).then_some(file.weights),
        title: beside.title,
        picture: beside.picture.as_deref().map(text),
        sidecars: beside.files.iter().map(|file| text(file)).collect(),
        ..FileNames::default()
    };
    let Some(Names { digests, title, stated_sha256 }) = names else {
        let autov2 = told.map(|sha256| sha256[..10].to_owned());
        return FileNames { sha256: told.map(str::to_owned), autov2, ..known };
    };
    FileNames {
        title: known.title.or(title),
        sha256: Some(digests.sha256),
        autov1: Some(digests.autov1),
        autov2: Some(digests.autov2),
        autov3: digests.autov3,
        crc32: Some(digests.crc32),
        blake3: Some(digests.blake3),
        stated_sha256,
        ..known
    }
}
