use super::*;

const RESCAN: Duration = Duration::from_secs(300);

fn folder() -> ModelsFolder {
    ModelsFolder::new(Path::new("/m").into(), Arc::new(Mutex::new(Notifier::new(|_| {}))))
}

fn file() -> Vec<(PathBuf, Stamp)> {
    vec![("/m/a".into(), crate::samples::stamp(1, 1))]
}

fn after(start: Instant, seconds: f64) -> Instant {
    start + Duration::from_secs_f64(seconds)
}

/// Has a look taken in that finds `scan`.
fn look(folder: &mut ModelsFolder, number: u64, scan: Scan, now: Instant) {
    folder.record_begin(number, 1, now);
    folder.record_done(number, scan, now);
    let seen = folder.take_done().unwrap();
    folder.record_scan(seen.scan, RESCAN, now);
}

fn unlistable() -> Scan {
    Scan { away: [("/m/x".into(), "can't be listed".into())].into(), ..Scan::default() }
}

#[test]
fn the_next_look_comes_when_there_may_be_something_to_see() {
    let slow = Duration::from_secs(1);
    for (what, scan, seconds) in [
        ("events tell", Scan::default(), 300.0),
        ("they don't", Scan { is_silent: true, ..Scan::default() }, 10.0),
        ("it takes long", Scan { is_silent: true, took: slow, ..Scan::default() }, 20.0),
        ("it is not there", Scan { is_missing: true, ..unlistable() }, 5.0),
        ("something can't be looked at", unlistable(), 1.0),
    ] {
        let (mut folder, now) = (folder(), Instant::now());
        look(&mut folder, 1, scan, now);
        assert_eq!(folder.deadline(), Some(after(now, seconds)), "{what}");
    }
}

#[test]
fn what_can_not_be_looked_at_is_tried_again_less_and_less_often() {
    let (mut folder, now) = (folder(), Instant::now());
    for (number, seconds) in
        (1..).zip([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0])
    {
        look(&mut folder, number, unlistable(), now);
        assert_eq!(folder.deadline(), Some(after(now, seconds)), "{number}");
    }
    look(&mut folder, 20, Scan::default(), now);
    look(&mut folder, 21, unlistable(), now);
    assert_eq!(folder.deadline(), Some(after(now, 1.0)), "anew");
}

#[test]
fn a_way_that_can_not_be_watched_is_looked_at() {
    let (mut folder, now) = (folder(), Instant::now());
    look(&mut folder, 1, Scan { is_blind: true, ..Scan::default() }, now);
    assert!(!folder.take_glance(now));
    let due = after(now, 5.0);
    assert_eq!(folder.deadline(), Some(due));
    assert!(folder.take_glance(due) && !folder.take_glance(after(due, 60.0)), "one at a time");
    assert_eq!(folder.deadline(), Some(after(now, 300.0)));
    folder.glancing = false;
    assert!(folder.take_glance(after(due, 5.0)));
}

#[test]
fn a_disk_hangs_that_does_not_answer_for_long_and_not_one_that_is_slow() {
    let (mut folder, start) = (folder(), Instant::now());
    let pulse = folder.record_begin(1, 1, start);
    assert_eq!(folder.deadline(), Some(start + PATIENCE));
    pulse.beat();
    assert!(!folder.give_up(start + PATIENCE), "it has answered");
    assert!(!folder.give_up(start + PATIENCE * 2 - GATHER));
    assert!(!folder.record_found(1, file()).is_empty());
    assert_eq!(folder.survey(7), 0);
    assert!(folder.give_up(start + PATIENCE * 2));
    assert!(!folder.give_up(start + PATIENCE * 3), "once");
    assert!(folder.hangs() && folder.is_settled());
    assert_eq!(folder.survey(7), 7, "nobody waits for it");
    assert!(folder.problem().unwrap().contains("/m does not answer"));
    assert_eq!(folder.away().into_keys().collect::<Vec<_>>(), [PathBuf::from("/m")]);
    assert!(
        folder.deadline().is_none() && !folder.is_due(after(start, 9999.0)),
        "no second look at it"
    );
    assert!(folder.record_found(1, file()).is_empty());

    let back = after(start, 9999.0);
    folder.record_done(1, unlistable(), back);
    assert!(folder.is_due(back) && folder.take_done().is_none(), "what it found is old");
    look(&mut folder, 2, Scan::default(), back);
    assert!(!folder.hangs() && folder.away().is_empty() && folder.problem().is_none());
}

#[test]
fn the_first_look_shows_at_once_and_later_ones_as_a_whole() {
    let (mut folder, now) = (folder(), Instant::now());
    folder.record_begin(1, 1, now);
    assert_eq!(folder.record_found(1, file()), file());
    folder.record_done(1, Scan::default(), now);
    assert_eq!(folder.awaited_until(), None);
    assert_eq!(folder.take_done().unwrap().files, []);
    folder.record_begin(2, 2, now);
    assert_eq!(folder.record_found(2, file()), []);
    assert_eq!(folder.record_found(1, file()), [], "of a look that is over");
    assert_eq!(folder.awaited_until(), Some(now + TOGETHER));
    assert!(folder.take_done().is_none() && !folder.is_settled());
    folder.record_done(2, Scan::default(), now);
    assert_eq!(folder.take_done().unwrap().files, file());
    assert_eq!(folder.survey(3), 2);
}

#[test]
fn a_burst_of_events_is_one_look_and_one_more_after_it() {
    let (mut folder, now) = (folder(), Instant::now());
    look(&mut folder, 1, Scan::default(), now);
    for event in 0..3 {
        folder.record_moved(now + GATHER / 4 * event);
    }
    assert_eq!(folder.deadline(), Some(now + GATHER));
    assert!(!folder.is_settled());
    look(&mut folder, 2, Scan::default(), now + GATHER);
    assert_eq!(folder.deadline(), Some(now + GATHER / 4 * 2 + LOOK_AGAIN));
    let second = now + LOOK_AGAIN * 2;
    assert!(folder.is_due(second));
    look(&mut folder, 3, Scan::default(), second);
    assert!(folder.is_settled());
}
