//! Situations and their plans, one per row.

use std::path::Path;

use config::{BuildWhen, ByteSize, EngineKind, Rule};
use engine::{Library, Removal};
use protocol::GpuReading;

use super::{super::*, Known, weights};
use crate::{
    gate::{Decision, GateReason},
    samples::validation,
};

/// A change of the snapshot.
type Given = fn(&mut Known);

/// The situation, its change, the news, and the plan.
type Row = (&'static str, Given, News, &'static [&'static str]);

const SAID_NOTHING: News =
    News { stopping: false, paused: false, reconfigured: false, serving: false, tidying: false };
const STOPPING: News = News { stopping: true, ..SAID_NOTHING };
const PAUSED: News = News { paused: true, ..SAID_NOTHING };
const RECONFIGURED: News = News { reconfigured: true, ..SAID_NOTHING };
const TIDYING: News = News { tidying: true, ..SAID_NOTHING };

/// It is midnight in the snapshot.
fn later() -> Option<config::BuildHours> {
    "01:00-02:00".parse().ok()
}

fn busy() -> GateReason {
    GateReason::Cpu(50)
}

fn check(kind: EngineKind, rows: &[Row]) {
    for (what, given, news, expected) in rows {
        let mut known = Known::new(kind, &["a"]);
        given(&mut known);
        assert_eq!(known.plan(*news), *expected, "{what}");
    }
}

#[test]
fn shared_engines_are_built_aside() {
    const BUILD: &str = "queued: Build for a";
    const START: &[&str] = &["Build for a on Aside", BUILD];
    check(
        EngineKind::Shared,
        &[
            ("nothing is there", |_| (), SAID_NOTHING, START),
            ("busy", |known| known.decisions = vec![Decision::Wait(busy())], SAID_NOTHING, START),
            ("paused", |known| known.paused = Some(Paused::default()), SAID_NOTHING, &[BUILD]),
            (
                "not the time for it",
                |known| known.config.build_hours = later(),
                SAID_NOTHING,
                &[BUILD],
            ),
            (
                "the time for it",
                |known| {
                    known.config.build_hours = later();
                    known.minute = 60;
                },
                SAID_NOTHING,
                START,
            ),
            ("on a battery", |known| known.draws = true, SAID_NOTHING, &[BUILD]),
            (
                "on a battery, which may be used",
                |known| {
                    known.draws = true;
                    known.config.on_battery = true;
                },
                SAID_NOTHING,
                START,
            ),
            (
                "on a battery while it is being built",
                |known| {
                    known.start();
                    known.draws = true;
                },
                SAID_NOTHING,
                &["stop: Battery"],
            ),
            (
                "no longer the time for it while it is being built",
                |known| {
                    known.start();
                    known.config.build_hours = later();
                },
                SAID_NOTHING,
                &[],
            ),
            ("the daemon ends", |_| (), STOPPING, &[BUILD]),
            (
                "no TensorRT yet",
                |known| known.desired = DesiredEngines::default(),
                SAID_NOTHING,
                &[],
            ),
            (
                "it failed before",
                |known| {
                    let engine = known.wanted().key;
                    known.setbacks.insert(engine, Setback::Failed("broken".to_owned()));
                },
                SAID_NOTHING,
                &[],
            ),
            ("no room", |known| known.free = Ok(0), SAID_NOTHING, &["waits: waits for disk space"]),
            (
                "nobody knows how much room there is",
                |known| known.free = Err("no such disk".to_owned()),
                SAID_NOTHING,
                &["waits: no such disk"],
            ),
            ("under way", |known| known.start(), SAID_NOTHING, &[]),
            ("under way, paused", |known| known.start(), PAUSED, &["stop: Paused"]),
            (
                "under way, the GPU is used",
                |known| {
                    known.start();
                    known.decisions = vec![Decision::Stop(busy())];
                },
                SAID_NOTHING,
                &[],
            ),
            ("under way, still wanted", |known| known.start(), RECONFIGURED, &[]),
            (
                "under way, no longer wanted",
                |known| {
                    known.start();
                    known.config.rules = vec![Rule { presets: Vec::new(), ..Rule::default() }];
                    known.find_runtime();
                },
                RECONFIGURED,
                &["stop: Unwanted"],
            ),
        ],
    );
}

#[test]
fn baked_engines_take_a_gpu() {
    const BUILD: &str = "queued: Build for a";
    const START: &[&str] = &["Build for a on Device(0)", BUILD];
    check(
        EngineKind::Baked,
        &[
            ("idle", |_| (), SAID_NOTHING, START),
            (
                "busy",
                |known| known.decisions = vec![Decision::Wait(busy())],
                SAID_NOTHING,
                &[BUILD],
            ),
            (
                "busy, and asked for now",
                |known| {
                    known.decisions = vec![Decision::Wait(busy())];
                    known.urgent.insert(known.wanted().key);
                },
                SAID_NOTHING,
                START,
            ),
            (
                "busy, and built always",
                |known| {
                    known.decisions = vec![Decision::Wait(busy())];
                    known.config.build = BuildWhen::Always;
                },
                SAID_NOTHING,
                START,
            ),
            (
                "asked for only",
                |known| known.config.build = BuildWhen::Never,
                SAID_NOTHING,
                &[BUILD],
            ),
            (
                "under way, others want the GPU",
                |known| {
                    known.start();
                    known.decisions = vec![Decision::Stop(busy())];
                },
                SAID_NOTHING,
                &["stop: Busy(Cpu(50))"],
            ),
            (
                "under way, asked for now, others want the GPU",
                |known| {
                    known.start();
                    known.urgent.insert(known.wanted().key);
                    known.decisions = vec![Decision::Stop(busy())];
                },
                SAID_NOTHING,
                &[],
            ),
        ],
    );
}

#[test]
fn engines_that_are_there_are_validated_and_go() {
    const VALIDATE: &str = "queued: Validate for a";
    check(
        EngineKind::Shared,
        &[
            (
                "built",
                |known| known.build(false),
                SAID_NOTHING,
                &["Validate for a on Device(0)", VALIDATE],
            ),
            (
                "built, busy",
                |known| {
                    known.build(false);
                    known.decisions = vec![Decision::Wait(busy())];
                },
                SAID_NOTHING,
                &[VALIDATE],
            ),
            (
                "built, no GPU",
                |known| {
                    known.build(false);
                    known.gpus.clear();
                },
                SAID_NOTHING,
                &[],
            ),
            ("validated", |known| known.build(true), SAID_NOTHING, &[]),
            (
                "another driver",
                |known| {
                    known.build(true);
                    known.gpus[0].driver = "2".to_owned();
                },
                SAID_NOTHING,
                &["Validate for a on Device(0)", VALIDATE],
            ),
            (
                "removed by somebody",
                |known| {
                    known.build(true);
                    let engine = known.wanted().key;
                    known.condemned.insert(engine, Removal::Asked);
                },
                SAID_NOTHING,
                &["evict: Requested"],
            ),
            (
                "damaged",
                |known| {
                    known.build(true);
                    let engine = known.wanted().key;
                    known.condemned.insert(engine, Removal::Damaged);
                },
                SAID_NOTHING,
                &["evict: Damaged"],
            ),
            (
                "removed, but its file can't be",
                |known| {
                    known.build(true);
                    let engine = known.wanted().key;
                    known.condemned.insert(engine, Removal::Asked);
                    known.stuck.insert(known.library.plan(&engine), "read-only".to_owned());
                },
                SAID_NOTHING,
                &[],
            ),
            (
                "built, too little memory",
                |known| {
                    known.build(false);
                    known.readings =
                        vec![GpuReading { memory_free: Some(1), ..GpuReading::default() }];
                },
                SAID_NOTHING,
                &["waits: waits for memory of GPU 0"],
            ),
        ],
    );
}

#[test]
fn what_is_outdated_goes_once_its_successor_serves_and_is_tidied_away() {
    let mut known = Known::new(EngineKind::Shared, &["a"]);
    let mut old = known.wanted();
    old.spec.recipe += 1;
    old.key = old.spec.key();
    for (is_validated, news, expected) in [
        (false, TIDYING, &["Validate for a on Device(0)", "queued: Validate for a"][..]),
        (true, SAID_NOTHING, &[]),
        (true, TIDYING, &["evict: Superseded"]),
        (true, News { serving: true, ..SAID_NOTHING }, &["evict: Superseded"]),
    ] {
        let mut new = known.wanted();
        let validations = [validation("a GPU", "1", Some(0.01))];
        old.validations = validations.to_vec();
        new.validations = if is_validated { validations.to_vec() } else { Vec::new() };
        known.library = Library::in_memory(Path::new("/d"), [old.clone(), new]);
        assert_eq!(known.plan(news), expected, "{is_validated} {news:?}");
    }
    known.config.quota = Some(ByteSize::b(5));
    assert_eq!(known.plan(SAID_NOTHING), ["evict: OverQuota"], "each has 4 bytes");
    assert_eq!(known.plan(STOPPING), Vec::<String>::new());
}

#[test]
fn a_plan_on_order_comes_first_or_is_refused() {
    let order = |name| Some(Order { weights: weights(name), output: "/out".into() });
    let mut known = Known::new(EngineKind::Shared, &["a"]);
    known.order = order("a");
    assert_eq!(known.plan(SAID_NOTHING), ["Materialize for a on Aside"]);
    assert_eq!(known.plan(STOPPING), ["queued: Build for a"]);
    known.order = order("gone");
    assert_eq!(known.plan(SAID_NOTHING), ["refuse: Gone"]);
    known.order = order("a");
    known.desired = DesiredEngines::default();
    assert_eq!(known.plan(SAID_NOTHING), ["refuse: NoRuntime(Sought)"]);
}

#[test]
fn one_shared_engine_serves_two_checkpoints_and_the_newest_decides() {
    let mut known = Known::new(EngineKind::Shared, &["a", "b"]);
    assert_eq!(known.plan(SAID_NOTHING), ["Build for b on Aside", "queued: Build for b"]);
    known.start();
    assert_eq!(known.plan(SAID_NOTHING), Vec::<String>::new());
    let baked = Known::new(EngineKind::Baked, &["a", "b"]);
    let both = ["Build for b on Device(0)", "queued: Build for b", "queued: Build for a"];
    assert_eq!(baked.plan(SAID_NOTHING), both);
}
