//! Engines whose checkpoints are out of reach, and those of the previous release.

use std::sync::Arc;

use checkpoint::Id;
use config::{BuildWhen, Config, EngineKind, Rule};
use engine::{Task, Usage, Weights};
use protocol::State;
use tokio::time::{Duration, advance};

use crate::{
    event::Event,
    inventory::{self, Inventory, Scan},
    samples,
    scenarios::stage::{Stage, one_preset},
};

/// What a scan finds of the only checkpoint.
#[derive(Clone, Copy, Debug)]
enum Seen {
    /// Its file.
    There,
    /// No file, but some folder could not be read.
    PartOfAll,
    /// No file where it was, which could be looked at, though not everything could.
    PartElsewhere,
    /// No file.
    Gone,
}

#[tokio::test(start_paused = true)]
async fn an_engine_whose_file_may_be_on_a_missing_disk_is_no_orphan() {
    use Seen::{Gone, PartElsewhere, PartOfAll, There};
    use State::{Away, Orphaned, Ready};
    let table: [&[(Seen, State)]; 6] = [
        &[(There, Ready), (PartOfAll, Away), (PartOfAll, Away), (There, Ready)],
        &[(PartOfAll, Away), (Gone, Orphaned), (There, Ready)],
        // It was gone before the disk was, so it is not kept longer.
        &[(Gone, Orphaned), (PartOfAll, Orphaned), (There, Ready)],
        &[(PartOfAll, Away), (There, Ready), (Gone, Orphaned)],
        &[(There, Ready), (PartElsewhere, Orphaned), (PartOfAll, Orphaned), (There, Ready)],
        &[(PartOfAll, Away), (PartElsewhere, Orphaned)],
    ];
    for scans in table {
        let mut stage = Stage::new(0, BuildWhen::Always, &["a.safetensors"]).await;
        stage.owners.config.orphan_days = 0.0;
        stage.end_build();
        for (seen, expected) in scans {
            look(&mut stage, *seen);
            assert_eq!(stage.shown().0, *expected, "{seen:?} of {scans:?}");
            let is_garbage = !stage.owners.garbage().is_empty();
            assert_eq!(is_garbage, *expected == Orphaned, "{seen:?} of {scans:?}");
            assert!(stage.queue().is_empty() && stage.owners.jobs.is_idle());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_grace_time_is_lived_through_whatever_the_clock_says() {
    const DAY: Duration = Duration::from_secs(86_400);
    let mut stage = Stage::new(0, BuildWhen::Always, &["a.safetensors"]).await;
    stage.owners.config.orphan_days = 2.0;
    stage.end_build();
    let engine = stage.list().values().next().unwrap().engines[0].key;
    let usage = |stage: &Stage| *stage.owners.library.engines().usage(&engine).unwrap();
    look(&mut stage, Seen::Gone);
    let orphaned = usage(&stage);
    assert!(orphaned.orphaned_since.is_some());
    // As if the machine's clock had been wrong for years when it was noted.
    stage.owners.library.record_usage(&engine, Usage { orphaned_since: Some(1), ..orphaned });
    advance(DAY).await;
    stage.refresh();
    assert!(stage.owners.garbage().is_empty(), "a day");
    // And so are marks of a life that was forgotten, or of none.
    for mark in [None, Some(u64::MAX)] {
        let usage = Usage { orphaned_lived_s: mark, ..usage(&stage) };
        stage.owners.library.record_usage(&engine, usage);
        stage.refresh();
        assert!(stage.owners.garbage().is_empty(), "{mark:?}");
        advance(DAY).await;
        stage.refresh();
        assert!(stage.owners.garbage().is_empty(), "{mark:?}: a day later");
    }
    advance(DAY).await;
    stage.refresh();
    assert_eq!(stage.owners.garbage().len(), 1, "two days");
    look(&mut stage, Seen::There);
    assert_eq!((usage(&stage).orphaned_since, usage(&stage).orphaned_lived_s), (None, None));
}

#[tokio::test(start_paused = true)]
async fn before_everything_was_looked_at_nothing_is_an_orphan() {
    let mut stage = Stage::new(0, BuildWhen::Always, &["a.safetensors"]).await;
    stage.end_build();
    look(&mut stage, Seen::Gone);
    assert_eq!(stage.shown().0, State::Orphaned);
    // As after a restart.
    let (store, tell) = (stage.owners.store.clone(), Arc::new(|_| {}));
    *stage.owners.inventory = Inventory::new(&stage.owners.config, store, tell);
    stage.owners.inventory.blindfold();
    stage.refresh();
    let (state, why) = stage.shown();
    assert!(state == State::Away && why.contains("not been looked at yet"), "{state}: {why}");
    assert!(stage.owners.garbage().is_empty());
    look(&mut stage, Seen::Gone);
    assert_eq!(stage.shown().0, State::Orphaned);
}

/// What a data folder of the previous release has.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Former {
    Shared,
    Baked,
}

/// One checkpoint, with an engine of the previous release.
async fn with_former(gpus: usize, former: Former, pinned: bool, ruled: bool) -> (Stage, Id) {
    let id = |name: &str| Id::from(blake3::hash(name.as_bytes()));
    let key = id("former");
    let rule = Rule {
        presets: vec!["default".to_owned()],
        engines: ruled.then_some(EngineKind::Baked),
        ..Rule::default()
    };
    let config = Config {
        models_dirs: vec!["/m".into()],
        build: BuildWhen::Always,
        fixed_engines: 1,
        rules: vec![rule],
        ..Config::default()
    };
    let stage = Stage::of(gpus, config, &["a.safetensors"], |data| {
        let weights = match former {
            Former::Shared => Weights::Shared(samples::signature()),
            Former::Baked => Weights::Baked(id("a.safetensors")),
        };
        samples::leave_former(data, weights, &key, pinned);
    });
    (stage.await, key)
}

#[tokio::test(start_paused = true)]
async fn an_earlier_shared_engine_is_never_used_and_removed_once_a_new_one_exists() {
    for pinned in [false, true] {
        let (mut stage, key) = with_former(1, Former::Shared, pinned, false).await;
        assert!(stage.offered().is_empty());
        assert_eq!(stage.shown().0, State::Building, "it is no engine of the checkpoint");
        let engine = stage.list().values().next().unwrap().engines[0].clone();
        assert_eq!(engine.state, State::Retired);
        assert!(stage.owners.snapshot().unneeded().is_empty(), "before there is another");
        stage.end_build();
        let is_there = stage.owners.library.engines().manifests().contains_key(&key);
        assert_eq!(is_there, pinned, "before that one was validated");
        stage.look_if_due().await;
        assert!(stage.offered().is_empty());
        let validated = stage.owners.jobs.work().map(|work| work.want.engine);
        assert!(!validated.collect::<Vec<_>>().contains(&key));
    }
}

#[tokio::test(start_paused = true)]
async fn a_baked_engine_of_the_previous_release_serves_until_the_new_one_does() {
    for (pinned, ruled) in [(false, false), (true, false), (false, true)] {
        let what = format!("pinned {pinned}, ruled {ruled}");
        let (mut stage, key) = with_former(1, Former::Baked, pinned, ruled).await;
        let served = |stage: &Stage| stage.offered().len();
        assert_eq!(served(&stage), 1, "{what}");
        let entry = stage.list().values().next().unwrap().clone();
        let outdated = entry.engines[0].outdated.clone().unwrap();
        assert_eq!(outdated.contains("baked → shared"), !ruled, "{what}: {outdated}");
        assert!(outdated.contains("recipe 2 → "), "{what}: {outdated}");
        assert_ne!(entry.state, State::Ready, "{what}");

        while stage.owners.library.engines().manifests().contains_key(&key)
            && !stage.owners.jobs.is_idle()
        {
            assert!(served(&stage) > 0, "{what}");
            match stage.job().task {
                Task::Build => stage.end_a_build(),
                _ => stage.end_validation(Some(0.001)),
            }
            stage.look_if_due().await;
        }
        let manifests = stage.owners.library.engines().manifests();
        assert_eq!(manifests.contains_key(&key), pinned, "{what}");
        assert!(manifests.len() > usize::from(pinned), "{what}");
        assert_eq!(stage.shown().0, State::Ready, "{what}");
    }
}

fn look(stage: &mut Stage, seen: Seen) {
    let stamp = samples::stamp(1, 1);
    let file = matches!(seen, Seen::There).then(|| ("/m/a.safetensors".into(), stamp));
    let place = match seen {
        Seen::PartOfAll => Some("/m"),
        Seen::PartElsewhere => Some("/m/lost+found"),
        Seen::There | Seen::Gone => None,
    };
    let away = place.map(|place| (place.into(), "can't be listed".to_owned()));
    let scan = Scan { away: away.into_iter().collect(), ..Scan::default() };
    let look = stage.owners.inventory.pretend_look();
    stage.owners.step(Event::Files(inventory::FileEvent::Found(look, file.into_iter().collect())));
    stage.owners.step(Event::Files(inventory::FileEvent::Scanned(look, scan)));
    stage.owners.inventory.pretend_settled();
    stage.refresh();
}

/// Its engine is an orphan, and the checkpoint that it was built for has other content now.
#[tokio::test(start_paused = true)]
async fn an_engine_that_no_content_has_hides_no_checkpoint() {
    let id = |name: &str| Id::from(blake3::hash(name.as_bytes()));
    let config = one_preset(EngineKind::Baked, BuildWhen::Always);
    let stage = Stage::of(0, config, &["a.safetensors"], |data| {
        samples::leave_former(data, Weights::Baked(id("gone")), &id("a.safetensors"), true);
    })
    .await;
    let [entry] = stage.list().values().collect::<Vec<_>>()[..] else { panic!("not one") };
    assert_eq!((entry.state, entry.locations.len()), (State::Building, 1), "{entry:?}");
    assert_eq!(entry.engines.len(), 1, "it is shown");
    assert_eq!(stage.owners.status().counts, [(State::Building, 1)].into());
}
