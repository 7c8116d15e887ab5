//! When jobs start and stop.

use checkpoint::Id;
use config::{BuildWhen, ByteSize, Config, EngineKind, Rule};
use protocol::{Request, State};
use tokio::{
    task::yield_now,
    time::{Duration, Instant, advance},
};

use crate::{
    gate::{Sample, WebUiReading},
    jobs::Failure,
    planner::{Errand, Place},
    scenarios::stage::{Stage, WINDOW_S, busy, readings},
};

fn cpu(percent: u32) -> Sample {
    Sample { cpu: Some(percent), ..readings(&[]) }
}

#[tokio::test(start_paused = true)]
async fn a_build_waits_for_an_idle_gpu_is_stopped_and_starts_again() {
    let mut stage = Stage::new(1, BuildWhen::Idle, &["a.safetensors"]).await;
    stage.look_for(1.0, &busy(87, None)).await;
    let waits = "waits until GPU 0 is idle: used by python (pid 4242)".to_owned();
    assert_eq!(stage.shown(), (State::Queued, waits.clone()));
    let status = stage.owners.status();
    let gate = status.gate.as_deref();
    assert_eq!(gate, Some("GPU 0 is at 87 %, used by python (pid 4242)"));
    assert_eq!(status.gpus[0].reading.as_ref().unwrap().utilisation, Some(87));

    stage.look_for(WINDOW_S, &busy(2, None)).await;
    assert_eq!(stage.workers(), (0, 0), "not before the window is over");
    stage.look(&busy(2, None)).await;
    assert_eq!(stage.workers(), (1, 0));
    assert_eq!(stage.shown().0, State::Building);

    for stops in 1..=5 {
        stage.look(&busy(87, None)).await;
        assert_eq!(stage.workers(), (stops, stops), "at once");
        assert_eq!(stage.shown(), (State::Queued, waits.clone()), "no failure");
        stage.look_for(WINDOW_S + 1.0, &busy(2, None)).await;
        assert_eq!(stage.workers(), (stops + 1, stops), "it starts over");
    }
    assert!(stage.owners.retry.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_pause_ends_a_build_and_an_urgent_request_overrides_it() {
    let mut stage = Stage::new(1, BuildWhen::Idle, &["a.safetensors"]).await;
    stage.look_for(WINDOW_S + 1.0, &busy(0, None)).await;
    assert_eq!(stage.workers(), (1, 0));
    stage.ask(Request::Pause { seconds: None });
    yield_now().await;
    assert_eq!(stage.workers(), (1, 1));
    assert_eq!(stage.shown(), (State::Queued, "waits for `sdtrtctl resume`".to_owned()));
    assert!(stage.owners.status().paused && stage.owners.store.paused().is_some());
    stage.owners.begin_due(Instant::now());
    assert!(stage.owners.gate.is_resting(), "nobody looks during a pause");

    let now = Request::Build { reference: "a".to_owned(), now: true };
    stage.ask(now.clone());
    assert_eq!(stage.workers(), (1, 1), "not before it is known how much memory is free");
    stage.look(&busy(87, None)).await;
    assert_eq!(stage.workers(), (2, 1), "in spite of the pause");
    stage.ask(Request::Resume);
    stage.look_for(5.0, &busy(99, None)).await;
    assert_eq!(stage.workers(), (2, 1), "in spite of the GPU");
    stage.ask(Request::Pause { seconds: None });
    yield_now().await;
    assert_eq!(stage.workers(), (2, 2), "the pause came last");
    stage.ask(Request::Resume);
    stage.look_for(1.0, &busy(99, None)).await;
    assert_eq!(stage.workers(), (2, 2), "it was now and is not any more");
    stage.ask(Request::Build { reference: "a".to_owned(), now: false });
    assert_eq!(stage.workers(), (2, 2), "next, but not now");
    stage.ask(now);
    assert_eq!(stage.workers(), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn without_a_gpu_a_busy_cpu_delays_starts_only() {
    let mut stage = Stage::new(0, BuildWhen::Idle, &["a.safetensors", "b.safetensors"]).await;
    stage.look_for(WINDOW_S * 2.0, &cpu(90)).await;
    assert_eq!(stage.workers(), (0, 0));
    stage.look_for(WINDOW_S + 1.0, &cpu(10)).await;
    assert_eq!(stage.workers(), (1, 0));
    stage.look_for(WINDOW_S, &cpu(100)).await;
    assert_eq!(stage.workers(), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn always_means_at_once() {
    let mut stage = Stage::new(1, BuildWhen::Always, &["a.safetensors"]).await;
    assert_eq!(stage.workers(), (1, 0));
    stage.look_for(2.0, &busy(99, None)).await;
    assert_eq!(stage.workers(), (1, 0), "whoever uses the GPU");
    stage.ask(Request::Pause { seconds: None });
    yield_now().await;
    assert_eq!(stage.workers(), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn several_gpus_share_the_queue_and_each_is_stopped_separately() {
    let names = ["a.safetensors", "b.safetensors", "c.safetensors"];
    let mut stage = Stage::new(2, BuildWhen::Idle, &names).await;
    let gpus = |stage: &Stage| stage.at_work().into_iter().map(|(gpu, _)| gpu).collect::<Vec<_>>();
    stage.look_for(WINDOW_S + 1.0, &readings(&[87, 0])).await;
    assert_eq!(gpus(&stage), ["GPU-1"]);
    let waiting: Vec<_> = stage.owners.status().queue.into_iter().map(|q| q.reason).collect();
    assert_eq!(waiting[1], "1 more before it");
    assert!(waiting[0].starts_with("next, after "), "{waiting:?}");
    assert_eq!(stage.owners.status().gate, None, "one of them is open");

    stage.look_for(WINDOW_S + 1.0, &readings(&[0, 0])).await;
    assert_eq!(gpus(&stage), ["GPU-1", "GPU-0"]);
    assert_eq!(stage.owners.status().building[1].gpu, Some(0));
    stage.look(&readings(&[0, 87])).await;
    assert_eq!(gpus(&stage), ["GPU-0"]);
    assert_eq!((stage.workers(), stage.queue().len()), ((2, 1), 2));
    stage.look_for(WINDOW_S + 1.0, &readings(&[0, 0])).await;
    assert_eq!(gpus(&stage), ["GPU-0", "GPU-1"]);
    stage.ask(Request::Pause { seconds: None });
    yield_now().await;
    assert_eq!((stage.workers(), stage.queue().len()), ((3, 3), 3));
}

#[tokio::test(start_paused = true)]
async fn a_second_job_waits_for_memory_of_the_machine() {
    let mut stage = Stage::new(2, BuildWhen::Idle, &["a.safetensors", "b.safetensors"]).await;
    let free = |gigabytes: u64| Sample {
        memory_free: Some(gigabytes * 1_000_000_000),
        ..readings(&[0, 0])
    };
    stage.look_for(WINDOW_S + 1.0, &free(0)).await;
    assert_eq!(stage.at_work().len(), 1, "the only one does with what there is");
    let queue = stage.owners.status().queue;
    let reason = &queue[0].reason;
    assert!(reason.contains("waits for memory: ") && reason.contains("0 B free"), "{reason}");
    stage.look(&free(1)).await;
    assert_eq!(stage.at_work().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_second_build_reckons_with_the_space_of_the_first() {
    let mut stage = Stage::new(2, BuildWhen::Always, &["a.safetensors", "b.safetensors"]).await;
    assert_eq!(stage.at_work().len(), 2);
    let one = stage.owners.snapshot().disk_taken() / 2;
    stage.ask(Request::Pause { seconds: None });
    let free = stage.owners.library.engines().free_bytes().unwrap();
    stage.owners.config.min_free = config::ByteSize::b(free - one * 3 / 2);
    stage.ask(Request::Resume);
    stage.look(&readings(&[0, 0])).await;
    assert_eq!(stage.at_work().len(), 1, "{:?}", stage.queue());
}

#[tokio::test(start_paused = true)]
async fn the_selected_checkpoint_comes_before_newer_ones() {
    let names = ["a.safetensors", "sub/b.safetensors", "c.safetensors"];
    let mut stage = Stage::new(1, BuildWhen::Idle, &names).await;
    let selected = |title: &str| {
        busy(0, Some(WebUiReading { at_work: false, checkpoint: Some(title.to_owned()) }))
    };
    stage.look(&selected("a.safetensors")).await;
    stage.look(&selected("sub/b.safetensors [0123456789]")).await;
    let built: Vec<_> = stage.owners.clients.queue().iter().map(|want| want.weights).collect();
    let expected = [names[1], names[0], names[2]];
    assert_eq!(built, expected.map(|name| Id::from(blake3::hash(name.as_bytes()))));
    // Selecting it repeatedly counts once.
    stage.look(&selected("sub/b.safetensors")).await;
    assert_eq!(stage.owners.intent.recent().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn after_a_rest_a_new_idle_window_is_required() {
    let mut stage = Stage::new(1, BuildWhen::Idle, &["a.safetensors"]).await;
    stage.look_for(WINDOW_S + 1.0, &busy(0, None)).await;
    assert_eq!(stage.workers(), (1, 0));
    stage.ask(Request::Pause { seconds: None });
    stage.owners.begin_due(Instant::now());
    stage.ask(Request::Resume);
    yield_now().await;
    assert_eq!(stage.workers(), (1, 1), "what was seen before the pause does not count");
}

/// Shared engines of one preset for one checkpoint, and a baked one for another.
async fn mixed(build: BuildWhen) -> Stage {
    let rules = [("own", EngineKind::Baked), ("", EngineKind::Shared)].map(|(folder, kind)| Rule {
        folder: Some(folder.into()),
        presets: vec!["default".to_owned()],
        engines: Some(kind),
        ..Rule::default()
    });
    let config = Config {
        models_dirs: vec!["/m".into()],
        idle_seconds: WINDOW_S,
        build,
        fixed_engines: 2,
        rules: rules.into(),
        ..Config::default()
    };
    Stage::of(1, config, &["a.safetensors", "own/b.safetensors"], |_| ()).await
}

/// The running tasks and their places.
fn at_work(stage: &Stage) -> Vec<(Errand, Place)> {
    let works = stage.owners.jobs.work();
    works.map(|work| (work.want.errand, work.want.takes.place.clone())).collect()
}

#[tokio::test(start_paused = true)]
async fn shared_engines_are_built_at_once_while_the_gpu_is_used() {
    let mut stage = mixed(BuildWhen::Idle).await;
    let aside = || (Errand::Build, Place::Aside);
    assert_eq!(at_work(&stage), [aside()], "before the GPU was looked at");
    stage.look_for(WINDOW_S * 2.0, &busy(99, None)).await;
    assert_eq!((at_work(&stage), stage.workers()), (vec![aside()], (1, 0)), "pictures are made");
    let gate = stage.owners.status().gate;
    assert_eq!(gate, None, "the next one only waits for its turn");

    stage.look_for(WINDOW_S + 1.0, &busy(0, None)).await;
    assert_eq!(
        at_work(&stage),
        [aside(), (Errand::Build, Place::Any)],
        "and a baked one beside it"
    );
    stage.end_a_build();
    let after = at_work(&stage);
    assert_eq!(after, [(Errand::Build, Place::Any), aside()], "the next one at once");
    stage.look(&busy(99, None)).await;
    assert_eq!(at_work(&stage), [aside()], "it makes no way");

    stage.look_for(WINDOW_S + 1.0, &busy(0, None)).await;
    let validation = (Errand::Validate, Place::Model("a GPU".to_owned()));
    assert_eq!(at_work(&stage), [aside(), validation], "which comes before the baked one");
    let building = stage.owners.status().building;
    assert_eq!(building.iter().map(|building| building.gpu).collect::<Vec<_>>(), [None, Some(0)]);
    stage.ask(Request::Pause { seconds: None });
    yield_now().await;
    let (started, stopped) = stage.workers();
    assert_eq!((at_work(&stage), started), (vec![], stopped));
    stage.ask(Request::Resume);
    assert!(at_work(&stage).contains(&aside()));
}

#[tokio::test(start_paused = true)]
async fn two_shared_engines_are_built_at_once_with_enough_memory() {
    let mut stage = mixed(BuildWhen::Idle).await;
    stage.owners.jobs.set_builders(2);
    let crowded = |stage: &Stage| {
        let queue = stage.owners.status().queue.into_iter();
        queue.filter(|queued| queued.reason.contains("waits for memory")).count()
    };
    stage.owners.gate.set_free_memory(|| Some(1_500_000_000));
    stage.refresh();
    assert_eq!((at_work(&stage).len(), crowded(&stage)), (1, 2), "{:?}", stage.queue());
    stage.owners.gate.set_free_memory(|| Some(2_500_000_000));
    stage.refresh();
    assert_eq!(at_work(&stage), [(Errand::Build, Place::Aside), (Errand::Build, Place::Aside)]);
    assert_eq!(crowded(&stage), 1, "a third has no room beside them: {:?}", stage.queue());
}

#[tokio::test(start_paused = true)]
async fn with_never_only_requests_are_built() {
    let mut stage = mixed(BuildWhen::Never).await;
    assert!(at_work(&stage).is_empty());
    stage.owners.begin_due(Instant::now());
    assert!(stage.owners.gate.is_resting(), "nobody looks for nothing");
    assert!(stage.owners.status().gate.unwrap().contains("\"never\""));
    stage.ask(Request::Build { reference: "a".to_owned(), now: false });
    for _ in 0..3 {
        assert_eq!(at_work(&stage), [(Errand::Build, Place::Aside)]);
        stage.end_a_build();
    }
    assert!(at_work(&stage).is_empty());
    stage.look_for(WINDOW_S + 1.0, &busy(0, None)).await;
    for _ in 0..3 {
        assert_eq!(at_work(&stage).len(), 1);
        stage.end_validation(Some(0.001));
    }
    assert!(at_work(&stage).is_empty(), "the baked one was not asked for");
    assert!(stage.owners.intent.asked().is_empty());

    let mut config = stage.owners.config.clone();
    config.build = BuildWhen::Always;
    let always = config.clone();
    stage.owners.settings = Some(Box::new(move || Ok(always.clone())));
    stage.ask(Request::Reload);
    stage.look(&busy(0, None)).await;
    assert_eq!(at_work(&stage), [(Errand::Build, Place::Any)]);
    config.build = BuildWhen::Never;
    stage.owners.settings = Some(Box::new(move || Ok(config.clone())));
    stage.ask(Request::Reload);
    assert!(at_work(&stage).is_empty(), "what was not asked for ends");
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_fills_up_during_a_build_is_waited_for() {
    let mut stage = Stage::new(0, BuildWhen::Always, &["a.safetensors"]).await;
    let full = || Err(Failure::DiskFull("no space left".to_owned()));
    for _ in 0..5 {
        stage.owners.config.min_free = ByteSize::pib(1);
        stage.end(full());
        let (state, reason) = stage.shown();
        assert!(state == State::Queued && reason.starts_with("waits for disk space"), "{reason}");
        stage.owners.config.min_free = ByteSize::b(0);
        stage.refresh();
        assert_eq!(stage.shown().0, State::Building);
    }
    // There is space now, so the cause is invisible, and may be temporary.
    for seconds in [5, 10, 20, 40] {
        stage.end(full());
        let waits = "waits until this has passed: no space left".to_owned();
        assert_eq!(stage.shown(), (State::Queued, waits));
        assert_eq!(stage.owners.status().troubles, ["no space left"]);
        advance(Duration::from_secs(seconds)).await;
        stage.refresh();
        assert_eq!(stage.shown().0, State::Building, "after {seconds} s");
    }
    stage.end_build();
    assert!(stage.owners.status().troubles.is_empty());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_started_once_the_daemon_stops() {
    let mut stage = Stage::new(0, BuildWhen::Always, &["a.safetensors", "b.safetensors"]).await;
    assert_eq!((stage.workers().0, stage.queue().len()), (1, 1));
    stage.stop_while_writing().await;
    let published = stage.owners.library.engines().manifests();
    assert_eq!(published.len(), 1, "what was written is published");
    assert_eq!(stage.workers().0, 1, "and the next one waits for the next life");
}
