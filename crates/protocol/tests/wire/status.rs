//! Every field of a status reaches a watcher.

use protocol::{Event, Overview, Status};
use serde_json::Value;

use crate::samples;

/// Its fields by name.
fn fields(status: &Status) -> serde_json::Map<String, Value> {
    match serde_json::to_value(status).unwrap() {
        Value::Object(fields) => fields,
        other => panic!("{other}"),
    }
}

/// A status in which one field is that of the sample, which has something in each, and the field's name. What
/// identifies the daemon never changes.
fn changes() -> Vec<(String, Status)> {
    let (before, sample) = (fields(&Status::default()), fields(&samples::status()));
    let changed = sample.into_iter().filter(|(name, _)| name != "daemon").map(|(name, value)| {
        assert_ne!(before.get(&name), Some(&value), "the sample has nothing in {name}");
        let mut now = before.clone();
        now.insert(name.clone(), value);
        let now = serde_json::from_value(Value::Object(now)).unwrap();
        (name, now)
    });
    changed.collect()
}

#[test]
fn every_change_of_a_status_is_an_event_and_its_reader_ends_up_with_the_same() {
    for (name, now) in changes() {
        let before = Status::default();
        let events = now.since(&before);
        assert_eq!(events.len(), 1, "{name}");
        let tag = serde_json::to_value(&events[0]).unwrap()["event"].clone();
        // These two are told together.
        let expected = if name == "runtime_problem" { "runtime" } else { &*name };
        assert_eq!(tag, expected);
        for (from, to) in [(&before, &now), (&now, &before)] {
            let mut overview = Overview::default();
            overview.apply(Event::State { status: from.clone().into(), checkpoints: Vec::new() });
            for event in to.since(from) {
                // As it arrives.
                let wire = serde_json::to_string(&event).unwrap();
                overview.apply(serde_json::from_str(&wire).unwrap());
            }
            assert_eq!(overview.status.as_deref(), Some(to), "{name}");
        }
    }
}
