//! Models folders on disks that hang.

use std::sync::{
    Mutex,
    mpsc::{self, Receiver, Sender},
};

use tokio::time::advance;

use super::*;

/// What has not come by then will not come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Longer than a disk is given to answer.
const LONG: Duration = Duration::from_secs(20);

/// Disks of which one hangs until it is told not to.
struct Disks {
    looks: Mutex<Vec<PathBuf>>,
    gate: Mutex<Option<Receiver<()>>>,
}

impl Look for Disks {
    fn look(&self, order: &watch::LookOrder, found: &mut dyn FnMut(Vec<(PathBuf, Stamp)>)) -> Scan {
        self.looks.lock().unwrap().push(order.dir.to_path_buf());
        if *order.dir == *hanging() {
            let gate = self.gate.lock().unwrap().take();
            let _ = gate.map(|gate| gate.recv());
        }
        let inode = order.dir.as_os_str().len() as u64;
        let stamp = crate::samples::stamp(inode, 1);
        found(vec![(order.dir.join("a.safetensors"), stamp)]);
        Scan::default()
    }

    fn trail(&self, _: &Path) -> Vec<(u64, u64)> {
        Vec::new()
    }

    fn forget(&self, _: &Path) {}
}

fn hanging() -> PathBuf {
    "/hangs".into()
}

struct Stage {
    inventory: Inventory,
    heard: Receiver<FileEvent>,
    disks: Arc<Disks>,
    gate: Sender<()>,
}

impl Stage {
    fn new() -> Self {
        let (sender, heard) = mpsc::channel();
        let (gate, closed) = mpsc::channel();
        let disks = Disks { looks: Mutex::default(), gate: Mutex::new(Some(closed)) };
        let disks = Arc::new(disks);
        let tell = Arc::new(move |event| drop(sender.send(event)));
        let dirs = [hanging(), "/m".into()];
        let recall = Arc::new(crate::cache::MemoryCache::default());
        let config = Config { models_dirs: dirs.to_vec(), ..Config::default() };
        let mut inventory = Inventory::new(&config, recall, tell);
        inventory.looker = Some(disks.clone());
        Self { inventory, heard, disks, gate }
    }

    fn begin_due(&mut self) -> bool {
        let has_changed = self.inventory.begin_due(Instant::now(), Duration::from_secs(3));
        self.inventory.record_survey(&HashSet::new());
        has_changed
    }

    /// Takes in events until a look has ended.
    fn until_scanned(&mut self) {
        loop {
            match self.heard.recv_timeout(PATIENCE).expect("no look ends") {
                FileEvent::Found(number, files) => self.inventory.record_found(number, files),
                FileEvent::Scanned(number, scan) => {
                    self.inventory.record_scan(number, scan);
                    break;
                }
                _ => {}
            }
        }
        self.inventory.record_survey(&HashSet::new());
    }

    fn is_seen(&self, path: &str) -> bool {
        self.inventory.catalogue().at(Path::new(path)).is_some()
    }

    fn looks_at_hanging(&self) -> usize {
        self.disks.looks.lock().unwrap().iter().filter(|dir| **dir == hanging()).count()
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_hangs_holds_up_no_other_and_is_well_once_it_answers() {
    let mut stage = Stage::new();
    stage.begin_due();
    stage.until_scanned();
    assert!(stage.is_seen("/m/a.safetensors"), "at once");
    assert_eq!(stage.inventory.scans_done(), 0, "the other may answer yet");
    assert!(stage.inventory.problems().is_empty());

    advance(LONG).await;
    assert!(stage.begin_due());
    assert!(stage.inventory.take_first_survey(), "the start is over");
    assert!(stage.inventory.problems()[&hanging()].contains("does not answer"));
    let content = Id::from([1; 32]);
    assert!(matches!(stage.inventory.whereabouts().may_lie(&content), Some(MayLie::At { .. })));

    // Others go on, and a survey waits for it no more.
    let survey = stage.inventory.scan_now();
    stage.begin_due();
    stage.until_scanned();
    assert_eq!(stage.inventory.scans_done(), survey);
    assert_eq!(stage.looks_at_hanging(), 1, "one thread hangs, not one for each look");
    stage.inventory.set_dirs(&["/m".into()]);
    stage.inventory.set_dirs(&[hanging(), "/m".into()]);
    stage.inventory.scan_now();
    stage.begin_due();
    stage.until_scanned();
    assert_eq!(stage.looks_at_hanging(), 1, "nor one for each change of the configuration");

    stage.gate.send(()).unwrap();
    stage.until_scanned();
    stage.begin_due();
    stage.until_scanned();
    assert!(stage.is_seen("/hangs/a.safetensors") && stage.is_seen("/m/a.safetensors"));
    assert!(stage.inventory.problems().is_empty());
    assert_eq!(stage.inventory.whereabouts().may_lie(&content), None);
}

#[tokio::test(start_paused = true)]
async fn what_lies_on_a_disk_that_begins_to_hang_can_not_be_seen_any_more() {
    let mut stage = Stage::new();
    stage.gate.send(()).unwrap();
    stage.begin_due();
    stage.until_scanned();
    stage.until_scanned();
    assert!(stage.is_seen("/hangs/a.safetensors"));
    let (_gate, closed) = mpsc::channel();
    *stage.disks.gate.lock().unwrap() = Some(closed);
    stage.inventory.scan_now();
    stage.begin_due();
    stage.until_scanned();
    advance(LONG).await;
    assert!(stage.begin_due());
    assert!(!stage.is_seen("/hangs/a.safetensors") && stage.is_seen("/m/a.safetensors"));
}

#[tokio::test(start_paused = true)]
async fn a_move_from_one_models_folder_to_another_is_seen_whole() {
    let mut stage = Stage::new();
    stage.gate.send(()).unwrap();
    stage.begin_due();
    stage.until_scanned();
    stage.until_scanned();
    let [one, other] = [0, 1].map(|index| stage.inventory.order(index, Instant::now()));
    let stamp = crate::samples::stamp(7, 1);
    let file = |dir: &Path| vec![(dir.join("moved.safetensors"), stamp)];
    let inventory = &mut stage.inventory;
    let (path, cause) = (one.dir.join("moved.safetensors"), FileChange::default());
    inventory.record_look(vec![Visit { path, stamp: Some(stamp), links: 1, cause }]);
    inventory.record_scan(one.round, Scan::default());
    assert!(inventory.catalogue().at(&one.dir.join("moved.safetensors")).is_some(), "not yet");
    inventory.record_found(other.round, file(&other.dir));
    inventory.record_scan(other.round, Scan::default());
    assert!(inventory.catalogue().at(&one.dir.join("moved.safetensors")).is_none());
    assert!(inventory.catalogue().at(&other.dir.join("moved.safetensors")).is_some());
    // One that takes long is not waited for.
    let [_slow, other] = [0, 1].map(|index| inventory.order(index, Instant::now()));
    inventory.record_scan(other.round, Scan::default());
    let moved = other.dir.join("moved.safetensors");
    assert!(inventory.catalogue().at(&moved).is_some());
    advance(Duration::from_secs(2)).await;
    assert!(inventory.begin_due(Instant::now(), Duration::from_secs(3)));
    assert!(inventory.catalogue().at(&moved).is_none());
}
