use std::{
    fs,
    path::PathBuf,
    sync::Mutex,
    time::{Duration, SystemTime},
};

use tempfile::TempDir;

use super::*;
use crate::{
    cache::MemoryCache,
    inventory::{
        FileEvent, Hint,
        reading::{self, Depth},
    },
};

/// A checkpoint, and a machine that has read its header.
struct Here {
    dir: TempDir,
    store: MemoryCache,
}

impl Here {
    fn new(seed: u64) -> Self {
        let here = Self { dir: tempfile::tempdir().unwrap(), store: MemoryCache::default() };
        here.write(seed);
        reading::one(here.sighting(), Depth::Header, &here.store);
        here
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("a.safetensors")
    }

    fn write(&self, seed: u64) {
        let manifest = goldens::Manifest::load("sd1").unwrap();
        manifest.reseed(seed).write_checkpoint(self.path()).unwrap();
        let file = fs::File::options().write(true).open(self.path()).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1000)).unwrap();
    }

    fn sighting(&self) -> Sighting {
        let stamp = Stamp::of(&self.path()).unwrap();
        Sighting { path: self.path().into(), stamp }
    }

    /// What it learns of the content.
    fn hash(&self, others: &Others, may_believe: bool) -> FileEvent {
        reading::hash(self.sighting(), &self.store, Some(others), may_believe)
    }

    /// What reading the file teaches.
    fn read(&self) -> WholeReading {
        let others = Others::new(Advice::Read);
        self.hash(&others, true);
        others.told.into_inner().unwrap().pop().unwrap().unwrap()
    }
}

/// Other machines that say this once, and what they were told.
struct Others {
    says: Mutex<Option<Advice>>,
    told: Mutex<Vec<Option<WholeReading>>>,
}

impl Others {
    fn new(says: Advice) -> Self {
        Self { says: Mutex::new(Some(says)), told: Mutex::default() }
    }

    fn told(&self) -> usize {
        self.told.lock().unwrap().len()
    }
}

impl Peers for Others {
    fn ask(&self, _: &Sighting) -> Advice {
        self.says.lock().unwrap().take().expect("asked twice")
    }

    fn tell(&self, _: &Sighting, found: Option<&WholeReading>) {
        self.told.lock().unwrap().push(found.cloned());
    }
}

fn outcome(event: FileEvent) -> Outcome {
    let (FileEvent::Hashed(learned) | FileEvent::Believed(learned)) = event else {
        panic!("it was put off")
    };
    learned.known.unwrap().outcome
}

fn ids(outcome: &Outcome) -> checkpoint::Ids {
    let Outcome::Identified(identity) = outcome else { panic!("{outcome:?}") };
    identity.ids
}

#[test]
fn what_another_machine_found_is_believed_of_the_same_file_alone() {
    let found = Here::new(1).read();
    let expected = found.identity.ids;
    let other = Here::new(2).read().identity.ids;
    assert_ne!(expected, other);
    let lie = WholeReading {
        identity: Identity { unet_parameters: 1, ..found.identity.clone() },
        ..found.clone()
    };
    let later = WholeReading { scheme: SCHEME + 1, ..found.clone() };
    for (what, seed, says, expected, is_read) in [
        ("the same", 1, found.clone(), expected, false),
        ("another content of that size and time", 2, found, other, true),
        ("another kind", 1, lie, expected, true),
        ("of another release", 1, later, expected, true),
    ] {
        let here = Here::new(seed);
        let others = Others::new(Advice::Believe(Box::new(says)));
        let learned = outcome(here.hash(&others, true));
        assert_eq!(ids(&learned), expected, "{what}");
        assert_eq!(others.told() == 1, is_read, "{what}: who reads it tells");
        // As if it had been read here.
        let sighting = here.sighting();
        let known = here.store.known(&sighting.path, &sighting.stamp).unwrap();
        assert_eq!(known.outcome, learned, "{what}");
        assert!(!known.is_compared && known.excerpt.is_some(), "{what}");
        assert!(here.store.names(&sighting.stamp).is_some(), "{what}");
    }
}

#[test]
fn who_must_not_believe_reads_and_asks_nobody() {
    let here = Here::new(1);
    let others = Others::new(Advice::Wait(Duration::from_secs(1)));
    outcome(here.hash(&others, false));
    assert!(others.says.into_inner().unwrap().is_some(), "nobody was asked");
    assert_eq!(others.told.into_inner().unwrap().len(), 1);
}

#[test]
fn a_file_that_another_machine_reads_is_put_off() {
    let here = Here::new(1);
    let wait = Duration::from_secs(3);
    let event = here.hash(&Others::new(Advice::Wait(wait)), true);
    assert!(
        matches!(event, FileEvent::PutOff(path, _, told) if *path == *here.path() && told == wait)
    );
}

#[test]
fn who_finds_no_checkpoint_lets_others_try() {
    let here = Here::new(1);
    let sighting = here.sighting();
    fs::write(here.path(), "gone").unwrap();
    let others = Others::new(Advice::Read);
    reading::hash(sighting, &here.store, Some(&others), true);
    assert_eq!(others.told.into_inner().unwrap(), [None]);
}

#[tokio::test]
async fn a_file_that_was_written_to_is_read_here() {
    let here = Here::new(1);
    let (dir, path): (Arc<Path>, Arc<Path>) = (here.dir.path().into(), here.path().into());
    let config =
        config::Config { models_dirs: vec![dir.to_path_buf()], ..config::Config::default() };
    let mut inventory = Inventory::new(&config, Arc::new(MemoryCache::default()), Arc::new(|_| ()));
    inventory.set_peers(Some(Arc::new(Others::new(Advice::Read))));
    let sighting = here.sighting();
    let header = here.store.known(&path, &sighting.stamp).unwrap();
    let see_header = |inventory: &mut Inventory| {
        let now = std::time::Instant::now();
        let recall = |_: &Path, _: &Stamp| Some(header.clone());
        inventory.catalogue.left(&path);
        inventory.catalogue.looked(&dir, &path, Some(sighting.stamp), now, recall);
    };
    see_header(&mut inventory);
    assert!(inventory.may_believe(&sighting));
    inventory.record_hint(&dir, Hint::Written(path.to_path_buf()));
    see_header(&mut inventory);
    assert!(!inventory.may_believe(&sighting), "its size and time may be the same");
}
