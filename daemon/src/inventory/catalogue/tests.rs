use super::*;
use crate::inventory::OPEN_LIMIT;
use crate::samples::{identified, known as known_of, stamp};

const SETTLE: Duration = Duration::from_secs(3);

fn nothing(_: &Path, _: &Stamp) -> Option<Known> {
    None
}

fn is(outcome: Outcome) -> impl Fn(&Path, &Stamp) -> Option<Known> {
    move |_, stamp| Some(known_of(stamp, outcome.clone()))
}

fn sighting(path: &str, stamp: Stamp) -> Sighting {
    Sighting { path: Path::new(path).into(), stamp }
}

/// Takes in that this file was read.
fn read(catalogue: &mut Catalogue, stamp: Stamp, outcome: Option<Outcome>, now: Instant) {
    catalogue.read(stamp, outcome.map(|outcome| known_of(&stamp, outcome)), now);
}

fn files(files: &[(&str, Stamp)]) -> Vec<(PathBuf, Stamp)> {
    files.iter().map(|(path, stamp)| (path.into(), *stamp)).collect()
}

fn dir() -> Arc<Path> {
    Path::new("/m").into()
}

/// Takes in a whole scan.
fn scan(
    catalogue: &mut Catalogue,
    files: Vec<(PathBuf, Stamp)>,
    now: Instant,
    recall: impl Fn(&Path, &Stamp) -> Option<Known>,
) {
    catalogue.seen(&dir(), files, now, recall);
    catalogue.forget_unseen(&dir());
}

fn content<'a>(catalogue: &'a Catalogue, path: &str) -> Option<&'a Content> {
    catalogue.at(Path::new(path)).map(|file| &file.content)
}

/// One file at `/m/a`, read as `identified("a")`.
fn known(now: Instant) -> Catalogue {
    let mut catalogue = Catalogue::new(SETTLE);
    scan(&mut catalogue, files(&[("/m/a", stamp(1, 0))]), now, is(identified("a")));
    catalogue
}

#[test]
fn a_file_is_read_once_it_has_not_changed_for_the_settle_time() {
    let start = Instant::now();
    let mut catalogue = Catalogue::new(SETTLE);
    scan(&mut catalogue, files(&[("/m/a", stamp(1, 0))]), start, nothing);
    assert_eq!(catalogue.next_settled(), Some(start + SETTLE));
    assert!(catalogue.due(start + SETTLE / 2).is_empty());

    let written = start + SETTLE / 2;
    catalogue.looked(&dir(), Path::new("/m/a"), Some(stamp(1, 5)), written, nothing);
    assert!(catalogue.due(start + SETTLE).is_empty(), "it changed meanwhile");

    let due = written + SETTLE;
    let at = vec![Path::new("/m/a").into()];
    assert_eq!(catalogue.due(due), [(stamp(1, 5), at)]);
    catalogue.settled(stamp(1, 5), Some(Waits::Writer), due);
    assert_eq!(catalogue.start_reading(), [], "somebody still has it open");

    catalogue.settled(stamp(1, 5), None, due + SETTLE);
    assert_eq!(catalogue.start_reading(), [sighting("/m/a", stamp(1, 5))]);
    assert_eq!(catalogue.start_reading(), [], "once");
    read(&mut catalogue, stamp(1, 5), Some(identified("a")), due);
    assert_eq!(content(&catalogue, "/m/a"), Some(&Content::Read(identified("a"))));
    assert_eq!(catalogue.next_settled(), None);
}

#[test]
fn a_file_that_changes_while_it_is_read_settles_anew() {
    let now = Instant::now();
    let mut catalogue = Catalogue::new(SETTLE);
    scan(&mut catalogue, files(&[("/m/a", stamp(1, 0))]), now, nothing);
    catalogue.settled(stamp(1, 0), None, now);
    catalogue.start_reading();
    catalogue.looked(&dir(), Path::new("/m/a"), Some(stamp(1, 1)), now, nothing);
    read(&mut catalogue, stamp(1, 0), Some(identified("old")), now);
    assert!(matches!(content(&catalogue, "/m/a"), Some(Content::Settling { .. })));

    catalogue.settled(stamp(1, 1), None, now);
    catalogue.start_reading();
    read(&mut catalogue, stamp(1, 1), None, now);
    assert!(matches!(content(&catalogue, "/m/a"), Some(Content::Settling { .. })));
}

#[test]
fn a_known_file_is_never_read_again_wherever_it_goes() {
    let now = Instant::now();
    let recall =
        |_: &Path, seen: &Stamp| (*seen == stamp(1, 0)).then(|| known_of(seen, identified("a")));
    for (what, after) in [
        ("renamed", vec![("/m/b", stamp(1, 0))]),
        ("hard-linked or linked", vec![("/m/a", stamp(1, 0)), ("/n/b", stamp(1, 0))]),
    ] {
        let mut catalogue = known(now);
        scan(&mut catalogue, files(&after), now, recall);
        assert_eq!(catalogue.start_reading(), [], "{what}");
        assert_eq!(catalogue.next_settled(), None, "{what}");
        let held = catalogue.held();
        let paths = &held.values().next().unwrap().paths;
        let expected: Vec<&Path> = after.iter().map(|(path, _)| Path::new(path)).collect();
        assert_eq!((held.len(), paths), (1, &expected), "{what}");
    }
    let mut catalogue = known(now);
    scan(&mut catalogue, files(&[]), now, recall);
    assert!(catalogue.held().is_empty(), "deleted");
    scan(&mut catalogue, files(&[("/m/back", stamp(1, 0))]), now, recall);
    assert_eq!(catalogue.held().len(), 1, "put back");
}

#[test]
fn what_is_written_under_one_name_changes_under_all() {
    let now = Instant::now();
    let mut catalogue = Catalogue::new(SETTLE);
    let both = files(&[("/m/a", stamp(1, 0)), ("/m/b", stamp(1, 0))]);
    scan(&mut catalogue, both, now, is(identified("a")));
    catalogue.looked(&dir(), Path::new("/m/a"), Some(stamp(1, 9)), now, nothing);
    for path in ["/m/a", "/m/b"] {
        assert!(matches!(content(&catalogue, path), Some(Content::Settling { .. })), "{path}");
    }
}

#[test]
fn one_reading_serves_every_name_of_a_file() {
    let now = Instant::now();
    let mut catalogue = Catalogue::new(SETTLE);
    scan(&mut catalogue, files(&[("/m/a", stamp(1, 0))]), now, nothing);
    catalogue.settled(stamp(1, 0), None, now);
    catalogue.start_reading();
    scan(&mut catalogue, files(&[("/m/renamed", stamp(1, 0))]), now, nothing);
    read(&mut catalogue, stamp(1, 0), Some(identified("a")), now);
    assert_eq!(content(&catalogue, "/m/renamed"), Some(&Content::Read(identified("a"))));
}

#[test]
fn small_files_are_read_together_and_big_ones_alone() {
    let now = Instant::now();
    let mut catalogue = Catalogue::new(SETTLE);
    let sized = |inode, size| Stamp { size, ..stamp(inode, 0) };
    let small = (0..100).map(|n| (format!("/m/small{n:02}"), sized(n, 10)));
    let big = (100..102).map(|n| (format!("/m/big{n}"), sized(n, reading::BATCH_BYTES)));
    let files: Vec<(PathBuf, Stamp)> =
        small.chain(big).map(|(path, stamp)| (path.into(), stamp)).collect();
    scan(&mut catalogue, files.clone(), now, nothing);
    assert!(!catalogue.is_all_read());
    for (_, stamp) in &files {
        catalogue.settled(*stamp, None, now);
    }
    let mut batches = Vec::new();
    loop {
        let batch = catalogue.start_reading();
        if batch.is_empty() {
            break;
        }
        batches.push(batch.len());
        for Sighting { stamp, .. } in batch {
            assert!(!catalogue.is_all_read());
            read(&mut catalogue, stamp, Some(identified("a")), now);
        }
    }
    assert_eq!(batches, [64, 36, 1, 1]);
    assert!(catalogue.is_all_read());
}

#[test]
fn an_unreadable_file_is_tried_again_when_something_is_done_to_it() {
    let now = Instant::now();
    let mut catalogue = Catalogue::new(SETTLE);
    let unreadable = Outcome::Unreadable("no permission".into());
    let seen = || files(&[("/m/a", stamp(1, 0))]);
    scan(&mut catalogue, seen(), now, is(unreadable.clone()));
    scan(&mut catalogue, seen(), now, nothing);
    assert_eq!(content(&catalogue, "/m/a"), Some(&Content::Read(unreadable)));
    catalogue.looked(&dir(), Path::new("/m/a"), Some(stamp(1, 0)), now, nothing);
    assert!(matches!(content(&catalogue, "/m/a"), Some(Content::Settling { .. })));
}

#[test]
fn a_look_at_one_models_folder_says_nothing_of_another() {
    let now = Instant::now();
    let mut catalogue = known(now);
    let other: Arc<Path> = Path::new("/n").into();
    let in_other = files(&[("/n/b", stamp(2, 0))]);
    catalogue.seen(&other, in_other, now, is(identified("b")));
    catalogue.forget_unseen(&other);
    assert_eq!(catalogue.held().len(), 2);
    scan(&mut catalogue, files(&[]), now, nothing);
    assert!(catalogue.at(Path::new("/m/a")).is_none() && catalogue.at(Path::new("/n/b")).is_some());
    catalogue.forget_dir(&other);
    assert!(catalogue.held().is_empty());
}

#[test]
fn files_of_two_disks_are_not_read_together() {
    let now = Instant::now();
    let mut catalogue = Catalogue::new(SETTLE);
    let other = Stamp { device: 2, ..stamp(2, 0) };
    scan(&mut catalogue, files(&[("/m/a", stamp(1, 0)), ("/m/b", other)]), now, nothing);
    catalogue.settled(stamp(1, 0), None, now);
    catalogue.settled(other, None, now);
    assert_eq!([(); 3].map(|()| catalogue.start_reading().len()), [1, 1, 0]);
}

#[test]
fn a_scan_that_does_not_see_a_file_outdoes_a_look_before_it() {
    let now = Instant::now();
    let mut catalogue = known(now);
    catalogue.looked(&dir(), Path::new("/m/b"), Some(stamp(1, 0)), now, nothing);
    catalogue.looked(&dir(), Path::new("/m/c"), Some(stamp(2, 0)), now, nothing);
    assert_eq!(catalogue.held().values().next().unwrap().paths.len(), 2);
    scan(&mut catalogue, files(&[("/m/b", stamp(1, 0))]), now, nothing);
    assert_eq!(
        catalogue.files().map(|file| &file.paths).collect::<Vec<_>>(),
        [&[Path::new("/m/b").into()]]
    );
    assert!(catalogue.is_all_read(), "what settled is gone");
}

#[test]
fn a_file_that_stays_open_holds_nothing_else_up() {
    let start = Instant::now();
    let mut catalogue = Catalogue::new(SETTLE);
    let two = [("/m/a", stamp(1, 0)), ("/m/b", stamp(2, 0))];
    scan(&mut catalogue, files(&two), start, nothing);
    assert!(!catalogue.is_read_but_for_open_files(), "nobody knows yet who has what open");
    catalogue.settled(stamp(1, 0), Some(Waits::Writer), start + SETTLE);
    catalogue.settled(stamp(2, 0), None, start + SETTLE);
    assert!(!catalogue.is_read_but_for_open_files(), "the other is yet to be read");
    catalogue.start_reading();
    read(&mut catalogue, stamp(2, 0), Some(identified("b")), start);
    assert!(catalogue.is_read_but_for_open_files() && !catalogue.is_all_read());
    catalogue.settled(stamp(1, 0), None, start + SETTLE * 2);
    assert!(!catalogue.is_read_but_for_open_files(), "it was closed");
    catalogue.settled(stamp(1, 0), Some(Waits::Writer), start + SETTLE * 3);
    catalogue.looked(&dir(), Path::new("/m/a"), None, start, nothing);
    assert!(catalogue.is_read_but_for_open_files() && catalogue.is_all_read(), "it is gone");
}

#[test]
fn what_stays_open_is_read_once_it_has_not_changed_for_long_and_again_when_it_changes() {
    let start = Instant::now();
    let mut catalogue = Catalogue::new(SETTLE);
    scan(&mut catalogue, files(&[("/m/a", stamp(1, 0))]), start, nothing);
    let late = start + OPEN_LIMIT;
    for (now, is_read) in [(start + SETTLE, false), (late - SETTLE, false), (late, true)] {
        catalogue.settled(stamp(1, 0), Some(Waits::Writer), now);
        assert_eq!(!catalogue.start_reading().is_empty(), is_read, "{:?}", now - start);
    }
    read(&mut catalogue, stamp(1, 0), Some(identified("a")), late);
    catalogue.looked(&dir(), Path::new("/m/a"), Some(stamp(1, 1)), late, nothing);
    catalogue.settled(stamp(1, 1), Some(Waits::Writer), late + SETTLE);
    assert!(matches!(content(&catalogue, "/m/a"), Some(Content::Settling { .. })));
}

#[test]
fn what_is_being_downloaded_is_not_read_however_long_that_takes() {
    let start = Instant::now();
    let mut catalogue = Catalogue::new(SETTLE);
    scan(&mut catalogue, files(&[("/m/a", stamp(1, 0))]), start, nothing);
    let late = start + OPEN_LIMIT * 9;
    let waits = Some(Waits::Download("/m/a.aria2".into()));
    catalogue.settled(stamp(1, 0), waits.clone(), late);
    let expected = Content::Settling { unchanged_since: start, looked: late, waits };
    assert_eq!(content(&catalogue, "/m/a"), Some(&expected));
    assert_eq!(catalogue.next_settled(), Some(late + SETTLE), "it is looked at again");
    catalogue.settled(stamp(1, 0), None, late + SETTLE);
    assert_eq!(catalogue.start_reading().len(), 1);
}
