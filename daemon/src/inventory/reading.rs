//! What reads files, away from the loop.

use std::{
    fs::{File, Metadata},
    io,
    path::Path,
    sync::Arc,
};

use checkpoint::{Checkpoint, Excerpt, Ids, Rejection, Tensor};
use engine::Parameter;
use rustix::io::Errno;
use tracing::debug;
use unet::Graph;
use walkdir::WalkDir;

use super::{
    Advice, ExcerptKey, FileEvent, Identity, Known, Outcome, Peers, Recall, Sighting, Stamp,
    WholeReading, idle, names,
};

/// Files up to this size are read completely at once: on a slow disk that takes little longer than the
/// header. Others are usable by their headers, and hashed later.
pub(super) const SMALL: u64 = 16 << 20;

/// A file that was read.
pub(crate) struct Learned {
    pub(crate) path: Arc<Path>,
    pub(crate) stamp: Stamp,
    /// `None` if it changed before it was read whole.
    pub(crate) known: Option<Known>,
}

/// What tells whether a file still is what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Its excerpt.
    Excerpt(ExcerptKey),
    /// What reading it taught: it is small enough to be read again.
    Outcome(Outcome),
}

/// A file that was compared with what is known of it.
pub(crate) struct Compared {
    pub(crate) sighting: Sighting,
    /// As it is now; `None` if it is not there.
    pub(crate) found: Option<Stamp>,
    /// Whether it is as it was, for all that this tells.
    pub(crate) is_same: bool,
}

/// How much of a checkpoint to read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Only as much as is needed to use it.
    Header,
    Content,
}

/// Reads these files, only the headers of large ones, and stores what will be the same the next time.
pub(super) fn learn(files: Vec<Sighting>, store: &dyn Recall) -> Vec<Learned> {
    let depth = |stamp: Stamp| if stamp.size <= SMALL { Depth::Content } else { Depth::Header };
    let learned = files.into_iter().map(|file| {
        let depth = depth(file.stamp);
        one(file, depth, store)
    });
    learned.collect()
}

/// Learns one file's content: from other machines if one of them has read it and it `may_believe` that; otherwise reads
/// it completely, while no one else wants the disk or the CPU, and tells them.
pub(super) fn hash(
    file: Sighting,
    store: &dyn Recall,
    peers: Option<&dyn Peers>,
    may_believe: bool,
) -> FileEvent {
    if let Some(peers) = peers.filter(|_| may_believe) {
        match peers.ask(&file) {
            Advice::Read => {}
            Advice::Wait(wait) => return FileEvent::PutOff(file.path, file.stamp, wait),
            Advice::Believe(found) => {
                if let Some(learned) = found.believe(&file, store) {
                    return FileEvent::Believed(learned);
                }
            }
        }
    }
    let learned = idle::run(|| {
        let learned = one(file.clone(), Depth::Content, store);
        // Most of it is in memory still.
        if let Some(Known { outcome: Outcome::Identified(_), .. }) = learned.known {
            names::keep(&learned.path, &learned.stamp, store);
        }
        learned
    });
    if let Some(peers) = peers {
        let known = learned.known.as_ref();
        peers.tell(&file, known.and_then(|known| WholeReading::of(&file, known, store)).as_ref());
    }
    FileEvent::Hashed(learned)
}

pub(super) fn one(Sighting { path, stamp }: Sighting, depth: Depth, store: &dyn Recall) -> Learned {
    debug!("reading {}", path.display());
    if depth == Depth::Content {
        // It may have other content than it had.
        store.set_names(&stamp, None);
    }
    let known = read(&path, stamp, depth, store).map(|(known, excerpt)| Known {
        excerpt: excerpt.map(|excerpt| store.keep_excerpt(&excerpt)),
        ..known
    });
    match &known {
        // Reading it may go better another time.
        Some(Known { outcome: Outcome::Unreadable(_), .. }) | None => {}
        // Something was done to it meanwhile, and it is still to be found out what.
        Some(known) if known.changed_ns != stamp.changed_ns => {}
        Some(known) => store.remember(&path, &stamp, known),
    }
    Learned { path, stamp, known }
}

/// Compares these files with what is known of them.
pub(super) fn compare(files: Vec<(Sighting, Evidence)>, store: &dyn Recall) -> Vec<Compared> {
    let compared = files.into_iter().map(|(sighting, evidence)| {
        debug!("comparing {}", sighting.path.display());
        let is_same = match evidence {
            Evidence::Excerpt(key) => matches(&sighting.path, &key, store),
            Evidence::Outcome(outcome) => {
                let found = read(&sighting.path, sighting.stamp, Depth::Content, store);
                found.is_some_and(|(known, _)| known.outcome == outcome)
            }
        };
        // After that: what changes in between is seen.
        let found = match Stamp::of(&sighting.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            found => Some(found.unwrap_or_default()),
        };
        Compared { sighting, found, is_same }
    });
    compared.collect()
}

/// Whether the file at `path` is as it was, for all that this excerpt tells; one that was lost tells nothing.
fn matches(path: &Path, excerpt: &ExcerptKey, store: &dyn Recall) -> bool {
    let Some(excerpt) = store.excerpt(excerpt) else { return false };
    let matches = File::open(path).and_then(|file| excerpt.matches(&file));
    matches.unwrap_or_else(|error| {
        debug!("{}: {error}", path.display());
        false
    })
}

/// Reads the file at `path` and says what it is, and what will tell whether it still is that; `None` when it is not
/// `stamp`, or changes.
pub(super) fn read(
    path: &Path,
    stamp: Stamp,
    depth: Depth,
    store: &dyn Recall,
) -> Option<(Known, Option<Excerpt>)> {
    let outcome = match try_read(path, stamp, depth, store) {
        Ok(read) => return Some(read),
        Err(Rejection::ChangedWhileRead | Rejection::NotAFile) => return None,
        // Not the file's fault: it is read again later.
        Err(Rejection::Unreadable { source, .. }) if is_passing(&source) => return None,
        Err(error @ Rejection::Unreadable { .. }) => {
            // It went or was renamed: the next look tells.
            let gone = Stamp::of(path).ok().is_none_or(|now| !now.is_same_version(&stamp));
            if gone {
                return None;
            }
            Outcome::Unreadable(error.to_string())
        }
        Err(rejection) => Outcome::Rejected(brief(&rejection.to_string())),
    };
    Some((known(outcome, stamp.changed_ns), None))
}

fn known(outcome: Outcome, changed_ns: i128) -> Known {
    Known { outcome, changed_ns, excerpt: None, is_compared: false }
}

/// Whether the system has too few resources, such as open files or memory.
fn is_passing(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(code, Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::INTR | Errno::AGAIN))
}

/// Shortens a reason for display and storage: it may quote megabytes of a file.
fn brief(reason: &str) -> String {
    const CHARACTERS: usize = 1000;
    match reason.char_indices().nth(CHARACTERS) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason.to_owned(),
    }
}

fn try_read(
    path: &Path,
    stamp: Stamp,
    depth: Depth,
    store: &dyn Recall,
) -> Result<(Known, Option<Excerpt>), Rejection> {
    let on = |metadata: &Metadata| Stamp::on(stamp.file_system, path, metadata);
    let checkpoint = Checkpoint::open_if(path, |metadata| on(metadata).is_same_version(&stamp))?;
    let Checkpoint { architecture, tensors, .. } = &checkpoint;
    let signature = checkpoint.signature();
    if !store.knows_parameters(&signature) {
        // What one signature stands for has a graph or has none, so this is asked but once.
        if let Err(error) = Graph::check(architecture, tensors) {
            let outcome = Outcome::Rejected(brief(&error.to_string()));
            return Ok((known(outcome, stamp.changed_ns), None));
        }
        store.set_parameters(&signature, &parameters(&checkpoint));
    }
    let unet_parameters = checkpoint.parameters().map(Tensor::elements).sum();
    let ids = match depth {
        Depth::Header => Ids::provisional(&stamp),
        Depth::Content => checkpoint.ids()?,
    };
    let has_excerpt = depth == Depth::Content && stamp.size > Excerpt::WHOLE;
    let excerpt = has_excerpt.then(|| checkpoint.excerpt()).transpose()?;
    let changed_ns = checkpoint.file().metadata().map_or(0, |metadata| on(&metadata).changed_ns);
    let (architecture, remarks) = (architecture.clone(), checkpoint.remarks());
    let identity = Identity { ids, architecture, signature, unet_parameters, remarks };
    Ok((known(Outcome::Identified(Arc::new(identity)), changed_ns), excerpt))
}

/// What an engine of its signature is built from.
fn parameters(checkpoint: &Checkpoint) -> Vec<Parameter> {
    let parameter =
        |tensor: &Tensor| Parameter { name: tensor.name.clone(), shape: tensor.shape.clone() };
    checkpoint.parameters().map(parameter).collect()
}

/// Bytes of all files below `dir`; what can't be read counts nothing.
pub(crate) fn folder_bytes(dir: &Path) -> u64 {
    let files = WalkDir::new(dir).into_iter().flatten().flat_map(|entry| entry.metadata());
    files.filter(|metadata| metadata.is_file()).map(|metadata| metadata.len()).sum()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::cache::MemoryCache;

    /// Before any build takes a slot.
    #[test]
    fn a_unet_that_has_no_graph_is_rejected_when_its_header_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let store = MemoryCache::default();
        let read = |name: &str, change: fn(&mut goldens::Manifest)| {
            let path = dir.path().join(name);
            let mut manifest = goldens::Manifest::load("sd1").unwrap();
            change(&mut manifest);
            manifest.sha256 = None;
            manifest.write_checkpoint(&path).unwrap();
            let stamp = Stamp::of(&path).unwrap();
            super::read(&path, stamp, Depth::Header, &store).unwrap().0.outcome
        };
        let Outcome::Identified(plain) = read("a.safetensors", |_| {}) else {
            panic!("a golden is refused")
        };
        let lcm = read("b.safetensors", |manifest| {
            manifest.tensors.push(goldens::TensorSpec(
                format!("{}time_embed.cond_proj.weight", checkpoint::UNET_PREFIX),
                vec![32, 256],
            ));
        });
        let Outcome::Identified(lcm) = lcm else { panic!("{lcm:?}") };
        assert_eq!((lcm.signature, lcm.unet_parameters), (plain.signature, plain.unet_parameters));
        assert_eq!((plain.remarks.len(), lcm.remarks.len()), (0, 1));
        let is_unused = |manifest: &mut goldens::Manifest| {
            let name = format!("{}input_blocks.1.1.gate.weight", checkpoint::UNET_PREFIX);
            manifest.tensors.push(goldens::TensorSpec(name, vec![32]));
        };
        let lacks_one = |manifest: &mut goldens::Manifest| {
            manifest.tensors.retain(|tensor| !tensor.0.ends_with("input_blocks.1.1.proj_in.bias"));
        };
        for (name, change, words) in [
            ("c.safetensors", is_unused as fn(&mut goldens::Manifest), "input_blocks.1.1.gate"),
            ("d.safetensors", lacks_one, "its UNet lacks model.diffusion_model.input_blocks.1.1"),
        ] {
            let outcome = read(name, change);
            let is_said = matches!(&outcome, Outcome::Rejected(reason) if reason.contains(words));
            assert!(is_said, "{outcome:?}");
        }
    }

    #[test]
    fn other_content_is_told_by_an_excerpt_and_by_what_was_learned() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.safetensors");
        let write = |seed| {
            goldens::Manifest::load("sd1").unwrap().reseed(seed).write_checkpoint(&path).unwrap();
        };
        let sighting =
            || Sighting { path: path.as_path().into(), stamp: Stamp::of(&path).unwrap() };
        write(1);
        let store = MemoryCache::default();
        let known = one(sighting(), Depth::Content, &store).known.unwrap();
        let evidence =
            [Evidence::Excerpt(known.excerpt.unwrap()), Evidence::Outcome(known.outcome)];
        let are_same = |evidence: &[Evidence]| -> Vec<bool> {
            let files = evidence.iter().map(|evidence| (sighting(), evidence.clone()));
            compare(files.collect(), &store).iter().map(|compared| compared.is_same).collect()
        };
        assert_eq!(are_same(&evidence), [true, true]);
        write(2);
        assert_eq!(are_same(&evidence), [false, false]);
        write(1);
        assert_eq!(are_same(&evidence), [true, true]);
        let lost = Evidence::Excerpt(ExcerptKey::of(b"lost"));
        assert_eq!(are_same(&[lost]), [false], "nothing tells");
    }

    #[test]
    fn what_is_not_what_was_seen_is_not_judged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.safetensors");
        let store = MemoryCache::default();
        let known = |stamp| {
            let learned = learn(vec![Sighting { path: path.as_path().into(), stamp }], &store);
            learned.into_iter().next().unwrap().known
        };
        fs::write(&path, "half of it").unwrap();
        let seen = Stamp::of(&path).unwrap();
        fs::write(&path, "all of it").unwrap();
        assert_eq!(known(seen), None);
        assert_eq!(store.known(&path, &seen), None);
        let now = Stamp::of(&path).unwrap();
        assert!(matches!(known(now).unwrap().outcome, Outcome::Rejected(_)));
        assert_eq!(store.known(&path, &now), known(now));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(known(now), None, "a folder in its place");
    }
}
