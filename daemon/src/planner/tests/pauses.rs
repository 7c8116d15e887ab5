//! What waits after failures.

use super::*;

fn pause(reason: &str, seconds: u64) -> Pause {
    Pause { reason: reason.to_owned(), left: Duration::from_secs(seconds) }
}

#[test]
fn what_failed_goes_last_and_waits_for_its_time_and_nothing_else_does() {
    type Change = fn(&mut Known, Id);
    let table: [(&str, Change, &[&str]); 7] = [
        ("nothing", |_, _| (), &["Build for b", "queued: Build for b", "queued: Build for a"]),
        (
            "the machine",
            |known, _| known.trouble = Some(pause("the disk is read-only", 5)),
            &["waits: waits until this has passed", "waits: waits until this has passed"],
        ),
        (
            "the machine, for long enough",
            |known, _| known.trouble = Some(pause("the disk is read-only", 0)),
            &["Build for b", "queued: Build for b", "queued: Build for a"],
        ),
        (
            "one job",
            |known, b| drop(known.pauses.insert(b, pause("it was killed", 5))),
            &["Build for a", "queued: Build for a", "waits: it was killed"],
        ),
        (
            "one job, for long enough",
            |known, b| drop(known.pauses.insert(b, pause("it was killed", 0))),
            &["Build for a", "queued: Build for a", "queued: Build for b"],
        ),
        (
            "one that sdtrtd ended with",
            |known, b| {
                known.deadly.insert(b);
            },
            &["Build for b", "queued: Build for b", "queued: Build for a"],
        ),
        (
            "asked for at once",
            |known, b| {
                known.pauses.insert(b, pause("it was killed", 0));
                known.urgent.insert(b);
            },
            &["Build for b", "queued: Build for b", "queued: Build for a"],
        ),
    ];
    for (what, change, expected) in table {
        let mut known = Known::new(EngineKind::Baked, &["a", "b"]);
        let b = engine_of(&known, "b");
        change(&mut known, b);
        let plan = known.plan(News::default());
        let plan: Vec<_> = plan.iter().map(|line| line.split(" on ").next().unwrap()).collect();
        assert_eq!(plan, expected, "{what}");
    }
}

#[test]
fn what_sdtrtd_ended_with_is_done_beside_nothing() {
    for deadly in ["a", "b"] {
        let mut known = Known::new(EngineKind::Baked, &["a", "b"]);
        known.gpus.push(Gpu { uuid: "GPU-1".to_owned(), ..known.gpus[0].clone() });
        known.decisions.push(Decision::Start);
        known.readings.push(GpuReading::default());
        known.start();
        let begins = |known: &Known| {
            let snapshot = known.snapshot();
            plan(&snapshot, &snapshot.catalogue.held(), News::default()).dispatch.is_some()
        };
        assert!(begins(&known), "the other GPU is free");
        known.deadly.insert(engine_of(&known, deadly));
        assert!(!begins(&known), "{deadly}");
    }
}

/// The desired engine of this checkpoint.
fn engine_of(known: &Known, name: &str) -> Id {
    let held: HashMap<Id, Held<'_>> = known.catalogue.held();
    known.snapshot().desired(&held[&weights(name)])[0].engine
}
