use checkpoint::FileSystem;

use super::*;
use crate::samples::{self, identified, known, stamp};

/// Far later than anything here is due.
const LATER: Duration = Duration::from_secs(600);

const A: &str = "/m/a.safetensors";
const B: &str = "/m/b.safetensors";

fn dir() -> Arc<Path> {
    Path::new("/m").into()
}

fn excerpt() -> ExcerptKey {
    ExcerptKey::of(b"excerpt")
}

fn remembered(stamp: &Stamp) -> Known {
    Known { excerpt: Some(excerpt()), ..known(stamp, identified("a")) }
}

fn nothing(_: &Path, _: &Stamp) -> Option<Known> {
    None
}

/// A file at [`A`] that was read, on a disk of this kind.
fn catalogue(stamp: Stamp, now: Instant) -> Catalogue {
    let mut catalogue = Catalogue::new(Duration::from_secs(3));
    catalogue.looked(&dir(), Path::new(A), Some(stamp), now, |_, _| None);
    catalogue.settled(stamp, None, now);
    assert_eq!(catalogue.start_reading().len(), 1);
    catalogue.read(stamp, Some(remembered(&stamp)), now);
    assert!(!catalogue.is_in_doubt());
    catalogue
}

fn on(kind: u32, stamp: Stamp) -> Stamp {
    Stamp { file_system: FileSystem { kind, ..stamp.file_system }, ..stamp }
}

/// What is to be done about the file now.
#[derive(Debug, PartialEq)]
enum Due {
    Nothing,
    Compare,
    ReadAnew,
}

fn due(catalogue: &mut Catalogue, now: Instant) -> Due {
    let file = catalogue.files().next().unwrap();
    if matches!(file.content, Content::Settling { .. }) {
        return Due::ReadAnew;
    }
    assert!(matches!(file.content, Content::Read(_)), "{file:?}");
    if catalogue.start_comparing(now + LATER).is_empty() { Due::Nothing } else { Due::Compare }
}

#[test]
fn what_is_done_to_a_known_file_is_no_more_than_it_needs() {
    let now = Instant::now();
    let (old, [a, b]) = (stamp(1, 0), [A, B].map(Path::new));
    let touched = Stamp { changed_ns: 9, ..old };
    type Done<'a> = &'a dyn Fn(&mut Catalogue);
    let ways: [(&str, Done<'_>, Due); 12] = [
        ("nothing", &|c| c.looked(&dir(), a, Some(old), now, nothing), Due::Nothing),
        ("written to, as an event told", &|c| assert!(c.written(a, now).is_some()), Due::ReadAnew),
        (
            "written to with its time put back, unheard",
            &|c| c.looked(&dir(), a, Some(touched), now, nothing),
            Due::Compare,
        ),
        (
            "written to, unheard",
            &|c| c.looked(&dir(), a, Some(Stamp { mtime_ns: 9, ..touched }), now, nothing),
            Due::ReadAnew,
        ),
        (
            "another with its inode",
            &|c| {
                c.looked(&dir(), a, Some(Stamp { born_ns: 1, ..old }), now, nothing);
                c.looked(&dir(), a, Some(Stamp { born_ns: 2, ..old }), now, nothing);
            },
            Due::ReadAnew,
        ),
        (
            "renamed",
            &|c| assert!(c.renamed(&dir(), a, b, touched, 1, now, &nothing).is_some()),
            Due::Nothing,
        ),
        (
            "renamed, and seen so by a scan first",
            &|c| {
                c.looked(&dir(), b, Some(touched), now, nothing);
                assert!(c.renamed(&dir(), a, b, touched, 1, now, &nothing).is_some());
            },
            Due::Nothing,
        ),
        (
            "renamed, with a name outside",
            &|c| assert_eq!(c.renamed(&dir(), a, b, touched, 2, now, &nothing), None),
            Due::Compare,
        ),
        (
            "its permissions set, and renamed",
            &|c| {
                c.touched(a);
                c.renamed(&dir(), a, b, touched, 1, now, &nothing);
            },
            Due::Compare,
        ),
        (
            "written to, and renamed",
            &|c| {
                c.written(a, now);
                c.renamed(&dir(), a, b, touched, 1, now, &nothing);
            },
            Due::ReadAnew,
        ),
        ("a disk is unmounted that keeps its promises", &|c| c.unmounted(now), Due::Nothing),
        ("linked", &|c| c.looked(&dir(), b, Some(touched), now, nothing), Due::Compare),
    ];
    for (what, done, expected) in ways {
        let mut catalogue = catalogue(old, now);
        done(&mut catalogue);
        assert_eq!(due(&mut catalogue, now), expected, "{what}");
    }
}

#[test]
fn where_inodes_pass_a_new_mount_is_a_reason_to_compare() {
    let now = Instant::now();
    const FAT: u32 = 0x4d44;
    let by_path = |inode| Stamp { device: 0, ..on(FAT, stamp(inode, 0)) };
    let mut catalogue = catalogue(by_path(1), now);
    catalogue.unmounted(now);
    assert_eq!(due(&mut catalogue, now), Due::Compare);

    // From an earlier life: a rename right after the start explains nothing.
    let mut catalogue = Catalogue::new(Duration::from_secs(3));
    let recall = |_: &Path, stamp: &Stamp| Some(remembered(stamp));
    catalogue.looked(&dir(), Path::new(A), Some(by_path(1)), now, recall);
    let renamed =
        catalogue.renamed(&dir(), Path::new(A), Path::new(B), by_path(2), 1, now, &nothing);
    assert_eq!(renamed, None);
}

#[test]
fn a_rename_is_no_reason_to_read_where_the_path_is_all_that_is_known() {
    let now = Instant::now();
    let by_path = |inode| Stamp { device: 0, ..on(0x4d44, stamp(inode, 0)) };
    for (what, found, is_kept) in [
        ("renamed", by_path(2), true),
        ("renamed over by another", Stamp { size: 7, ..by_path(2) }, false),
    ] {
        let mut catalogue = catalogue(by_path(1), now);
        let kept = catalogue.renamed(&dir(), Path::new(A), Path::new(B), found, 1, now, &nothing);
        assert_eq!(kept.is_some(), is_kept, "{what}");
        assert_eq!(catalogue.held().len(), usize::from(is_kept), "{what}");
        assert!(catalogue.at(Path::new(A)).is_none(), "{what}");
        assert!(!catalogue.is_in_doubt(), "{what}");
    }
    // So does all that is in a folder.
    let catalogue = catalogue(by_path(1), now);
    let moved = catalogue.renamed_with("/m".into(), "/n".into());
    assert_eq!(moved, [(A.into(), "/n/a.safetensors".into())]);
}

#[test]
fn what_was_compared_is_believed_read_again_or_read_whole_in_the_end() {
    let now = Instant::now();
    let (old, path) = (stamp(1, 0), Path::new(A));
    let touched = Stamp { changed_ns: 9, ..old };
    let compared = |found: Option<Stamp>, is_same: bool| {
        let mut catalogue = catalogue(old, now);
        catalogue.looked(&dir(), path, Some(touched), now, nothing);
        assert_eq!(catalogue.next_doubt(), Some(now + GRACE));
        assert!(catalogue.is_in_doubt());
        let sightings = catalogue.start_comparing(now + GRACE);
        assert_eq!(
            sightings,
            [(Sighting { path: path.into(), stamp: touched }, Evidence::Excerpt(excerpt()))]
        );
        assert!(catalogue.is_in_doubt() && catalogue.next_doubt().is_none());
        let kept = catalogue.compared(touched, found, is_same, now);
        (catalogue, kept)
    };
    let (mut same, kept) = compared(Some(touched), true);
    let compared_only = Known { changed_ns: 9, is_compared: true, ..remembered(&old) };
    assert_eq!(kept, Some(compared_only));
    assert!(!same.is_in_doubt());
    let whole = same.next_whole().unwrap();
    assert!(whole >= now + QUIET);
    assert_eq!(same.start_reading_again(now), [], "not yet");
    assert_eq!(same.start_reading_again(whole)[0].stamp, touched);
    assert!(matches!(same.at(path).unwrap().content, Content::Read(_)), "meanwhile it counts");
    same.read(touched, Some(known(&touched, identified("other"))), now);
    assert_eq!(same.at(path).unwrap().content, Content::Read(identified("other")));
    assert_eq!(same.next_whole(), None);

    let (other, kept) = compared(Some(touched), false);
    assert!(matches!(other.at(path).unwrap().content, Content::Settling { .. }));
    assert_eq!(kept, None);

    let (gone, _) = compared(None, false);
    assert!(gone.is_in_doubt() && gone.held().len() == 1, "a rename is still to be heard of");

    let (again, kept) = compared(Some(Stamp { changed_ns: 10, ..touched }), true);
    assert!(again.is_in_doubt() && kept.is_none());
}

#[test]
fn what_is_written_to_while_it_is_read_or_compared_is_read_again() {
    let now = Instant::now();
    let (old, path) = (stamp(1, 0), Path::new(A));
    let mut catalogue = catalogue(old, now);
    catalogue.written(path, now);
    catalogue.settled(old, None, now);
    assert_eq!(catalogue.start_reading().len(), 1);
    // With its time put back.
    catalogue.written(path, now);
    catalogue.settled(old, None, now);
    assert_eq!(catalogue.start_reading(), [], "not by two at once");
    catalogue.read(old, Some(remembered(&old)), now);
    assert!(catalogue.held().is_empty(), "half of it was as it was before");
    assert_eq!(catalogue.start_reading().len(), 1);
    catalogue.read(old, Some(remembered(&old)), now);
    assert_eq!(catalogue.held().len(), 1);

    let touched = Stamp { changed_ns: 9, ..old };
    catalogue.looked(&dir(), path, Some(touched), now, nothing);
    assert_eq!(catalogue.start_comparing(now + GRACE).len(), 1);
    catalogue.written(path, now);
    assert_eq!(catalogue.compared(touched, Some(touched), true, now), None);
    assert!(matches!(catalogue.at(path).unwrap().content, Content::Settling { .. }));
}

#[test]
fn what_changes_its_ctime_while_it_is_read_is_doubted() {
    let now = Instant::now();
    let (old, path) = (stamp(1, 0), Path::new(A));
    let mut catalogue = catalogue(old, now);
    catalogue.written(path, now);
    catalogue.settled(old, None, now);
    catalogue.start_reading();
    let touched = Stamp { changed_ns: 9, ..old };
    catalogue.read(old, Some(remembered(&touched)), now);
    assert!(catalogue.is_in_doubt() && catalogue.held().len() == 1);
    // Unless it was a rename.
    let renamed = catalogue.renamed(&dir(), path, Path::new(B), touched, 1, now, &nothing);
    assert_eq!(renamed, Some(remembered(&touched)));
    assert!(!catalogue.is_in_doubt());
}

#[test]
fn a_look_of_a_scan_that_is_older_than_another_is_taken_again() {
    let now = Instant::now();
    let (old, path) = (stamp(1, 0), Path::new(A));
    let mut catalogue = catalogue(old, now);
    let written = Stamp { mtime_ns: 9, changed_ns: 9, ..old };
    catalogue.looked(&dir(), path, Some(written), now, nothing);
    // Begun before it was written to.
    let recall = |_: &Path, stamp: &Stamp| (*stamp == old).then(|| remembered(&old));
    assert_eq!(catalogue.seen(&dir(), vec![(A.into(), old)], now, recall), [PathBuf::from(A)]);
    catalogue.forget_unseen(&dir());
    assert!(matches!(catalogue.at(path).unwrap().content, Content::Settling { .. }));
    // The clock was set back.
    catalogue.looked(&dir(), path, Some(old), now, recall);
    assert_eq!(catalogue.held().len(), 1);
}

#[test]
fn what_only_its_file_system_casts_doubt_on_is_not_read_whole() {
    let now = Instant::now();
    for (what, changed_ns, is_whole) in [("mounted anew", 0, false), ("and written to", 9, true)] {
        let stamp = Stamp { changed_ns, ..on(0xff53_4d42, stamp(1, 0)) };
        let known = Known { changed_ns: 0, ..remembered(&stamp) };
        let mut catalogue = Catalogue::new(Duration::from_secs(3));
        catalogue.looked(&dir(), Path::new(A), Some(stamp), now, |_, _| Some(known.clone()));
        assert_eq!(catalogue.start_comparing(now + GRACE).len(), 1, "{what}");
        let kept = catalogue.compared(stamp, Some(stamp), true, now).unwrap();
        assert_eq!((kept.changed_ns, kept.is_compared), (changed_ns, is_whole), "{what}");
        assert_eq!(catalogue.next_whole().is_some(), is_whole, "{what}");
    }
}

#[test]
fn a_big_file_is_read_whole_when_nothing_else_is_to_be_done() {
    let now = Instant::now();
    let big = Stamp { size: 7_000_000_000, ..stamp(1, 0) };
    let known_again = Known { is_compared: true, ..remembered(&big) };
    let mut catalogue = Catalogue::new(Duration::from_secs(3));
    catalogue.looked(&dir(), Path::new(A), Some(big), now, |_, _| Some(known_again.clone()));
    let due = catalogue.next_whole().unwrap();
    assert!(due >= now + LONG_QUIET);
    assert_eq!(catalogue.start_reading_again(due), [], "not before others");
    assert_eq!(catalogue.start_hashing(due).len(), 1);
    assert_eq!(catalogue.start_hashing(due + LATER), [], "once");
    let other = remembered(&big);
    let other = Known { outcome: identified("other"), ..other };
    assert_eq!(catalogue.hashed(big, Some(other), now), None, "it goes on under no other id");
    assert_eq!(catalogue.at(Path::new(A)).unwrap().content, Content::Read(identified("other")));
    assert_eq!(catalogue.next_whole(), None);
}

#[test]
fn what_has_no_excerpt_is_compared_with_what_was_learned_if_that_is_its_content() {
    let (now, it) = (Instant::now(), stamp(1, 0));
    let touched = Stamp { changed_ns: 9, ..it };
    for (what, outcome, is_compared) in [
        ("a small checkpoint", identified("a"), true),
        ("one that is known by its header", samples::provisional(&it), false),
        ("none", Outcome::Rejected("a LoRA".to_owned()), false),
    ] {
        let mut catalogue = Catalogue::new(Duration::from_secs(3));
        let recall = |_: &Path, stamp: &Stamp| Some(known(stamp, outcome.clone()));
        catalogue.looked(&dir(), Path::new(A), Some(it), now, recall);
        catalogue.looked(&dir(), Path::new(A), Some(touched), now, nothing);
        let compared = catalogue.start_comparing(now + LATER);
        let content = &catalogue.at(Path::new(A)).unwrap().content;
        if !is_compared {
            assert_eq!((compared, content), (vec![], &Content::Unread), "{what}");
            continue;
        }
        let evidence = Evidence::Outcome(outcome.clone());
        assert_eq!(compared, [(Sighting { path: Path::new(A).into(), stamp: touched }, evidence)]);
        assert_eq!(content, &Content::Read(outcome), "it is used meanwhile");
        assert!(catalogue.compared(touched, Some(touched), true, now).is_some());
        assert_eq!((catalogue.is_in_doubt(), catalogue.next_whole()), (false, None));
    }
}
