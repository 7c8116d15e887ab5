//! Every field of a status reaches a watcher.

use protocol::{Event, Overview, Status};
use serde_json::{Map, Value};

use crate::samples;

#[test]
fn every_change_of_a_status_is_an_event_and_its_reader_ends_up_with_the_same() {
    let fields = |status: &Status| -> Map<String, Value> {
        serde_json::from_value(serde_json::to_value(status).unwrap()).unwrap()
    };
    let before = Status::default();
    for (name, value) in fields(&samples::status()) {
        // What identifies the daemon never changes.
        if name == "daemon" {
            continue;
        }
        let mut changed = fields(&before);
        let was = changed.insert(name.clone(), value.clone());
        assert_ne!(was, Some(value), "the sample has nothing in {name}");
        let now: Status = serde_json::from_value(Value::Object(changed)).unwrap();
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
