use checkpoint::Id;

use super::*;
use crate::Task;

fn id(digit: char) -> Id {
    digit.to_string().repeat(64).parse().unwrap()
}

fn status() -> Status {
    Status { runtime_problem: Some("not found".into()), ..Status::default() }
}

fn building(percent: u8, elapsed_s: u64) -> Building {
    Building {
        task: Task::Build,
        weights_id: id('a').into(),
        preset: "default".into(),
        phase: "build".into(),
        percent,
        elapsed_s,
        gpu: None,
    }
}

fn entry(digit: char, state: State) -> Checkpoint {
    Checkpoint {
        weights_id: Some(id(digit)),
        unet_id: None,
        architecture: None,
        state,
        reason: None,
        remarks: Vec::new(),
        locations: Vec::new(),
        engines: Vec::new(),
        coming: Vec::new(),
    }
}

fn keyed(entries: &[Checkpoint]) -> BTreeMap<EntryKey, Checkpoint> {
    entries.iter().map(|entry| (entry.key(), entry.clone())).collect()
}

#[test]
fn time_that_passes_is_no_event() {
    let at =
        |percent, elapsed_s| Status { building: vec![building(percent, elapsed_s)], ..status() };
    let mut later = at(5, 60);
    later.daemon.uptime_s = 61;
    assert_eq!(later.since(&at(5, 1)), []);
    assert_eq!(later.since(&at(4, 1)), [Event::Building(vec![building(5, 60)])]);
}

#[test]
fn a_list_is_followed_by_its_changes() {
    let before =
        keyed(&[entry('a', State::Queued), entry('b', State::Ready), entry('c', State::Ready)]);
    let now =
        keyed(&[entry('a', State::Ready), entry('b', State::Ready), entry('d', State::Queued)]);
    let changes = list_changes(&before, &now);
    let expected = [
        Event::Checkpoint(entry('a', State::Ready)),
        Event::Checkpoint(entry('d', State::Queued)),
        Event::Gone(EntryKey::Weights(id('c'))),
    ];
    assert_eq!(changes, expected);
    let mut overview = Overview::default();
    let checkpoints = before.into_values().collect();
    overview.apply(Event::State { status: status().into(), checkpoints });
    changes.into_iter().for_each(|event| overview.apply(event));
    assert_eq!(overview.checkpoints, now);
}

#[test]
fn before_everything_was_told_a_change_means_nothing() {
    let mut overview = Overview::default();
    overview.apply(Event::Checkpoint(entry('a', State::Ready)));
    overview.apply(Event::Paused(true));
    assert_eq!(overview, Overview::default());
}
