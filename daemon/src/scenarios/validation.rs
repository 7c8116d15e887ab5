//! Published engines on machines with a GPU.

use std::{fs, time::UNIX_EPOCH};

use config::{BuildWhen, EngineKind};
use engine::{Findings, Task};
use protocol::{GpuReading, Request, State};
use tempfile::TempDir;
use tokio::{
    task::yield_now,
    time::{Duration, Instant, advance},
};

use crate::{
    event::Event,
    gate::Sample,
    jobs::{Done, Failure},
    samples::findings,
    scenarios::stage::{Stage, WINDOW_S, busy, readings},
};

/// An SD 1.x checkpoint whose engine was just built.
async fn published(gpus: usize, engines: EngineKind) -> Stage {
    let mut stage = Stage::with(gpus, BuildWhen::Always, engines, &["a.safetensors"]).await;
    stage.end_build();
    stage.look_if_due().await;
    stage
}

/// A GPU with this much free memory, and this much use by python.
fn memory(free: u64, percent: u32) -> Sample {
    let mut sample = busy(percent, None);
    for reading in sample.gpus.iter_mut().flatten() {
        *reading = GpuReading { memory_free: Some(free), ..reading.clone() };
        reading.processes = reading.processes.take().filter(|_| percent > 0);
    }
    sample
}

#[tokio::test(start_paused = true)]
async fn an_engine_is_offered_after_its_validation() {
    for kind in [EngineKind::Baked, EngineKind::Shared] {
        let mut stage = published(1, kind).await;
        assert_eq!(stage.shown(), (State::Building, "to be validated on the GPU".to_owned()));
        assert!(stage.offered().is_empty());
        let job = stage.job();
        assert_eq!(job.gpu.as_deref(), Some("GPU-0"));
        let Task::Validate(engine) = job.task else { panic!("{:?}", job.task) };
        assert!(engine.plan.exists(), "{}", engine.plan.display());
        assert_eq!(stage.owners.status().building[0].phase, "load");

        stage.end_validation(Some(0.004));
        assert_eq!(stage.shown(), (State::Ready, String::new()));
        assert_eq!(stage.offered(), [("ready".to_owned(), Some(0.004))]);
        let entry = stage.list().values().next().unwrap();
        let validation = &entry.engines[0].validations[0];
        let proof = validation.proof.unwrap();
        assert_eq!((validation.gpu.as_str(), validation.driver.as_str()), ("a GPU", "1"));
        assert_eq!((proof.relative_error, proof.bound), (Some(0.004), 0.02));
        assert!(stage.queue().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_gpu_an_engine_is_offered_at_once() {
    let stage = published(0, EngineKind::Baked).await;
    assert_eq!(stage.shown(), (State::Ready, String::new()));
    assert_eq!(stage.offered(), [("unproven".to_owned(), None)]);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_engine_fails_with_its_errors_until_a_validation_succeeds() {
    let mut stage = published(1, EngineKind::Baked).await;
    stage.end_validation(Some(0.3));
    let (state, reason) = stage.shown();
    assert_eq!(state, State::Failed);
    assert!(reason.contains("3.0e-1 off fp32 results on a GPU"), "{reason}");
    assert!(reason.contains("past 2e-2"), "{reason}");
    assert_eq!(stage.offered(), [("failed".to_owned(), Some(0.3))]);
    assert_eq!(stage.list().values().next().unwrap().engines[0].state, State::Failed);

    stage.ask(Request::Retry { reference: "a".to_owned() });
    stage.end_validation(None);
    assert!(stage.shown().1.contains("no number"), "{:?}", stage.shown());
    stage.ask(Request::Retry { reference: "a".to_owned() });
    stage.end_validation(Some(0.01));
    assert_eq!(stage.shown().0, State::Ready);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_could_not_be_compared_is_left_to_the_web_ui() {
    let mut stage = published(1, EngineKind::Baked).await;
    let unproven = Findings { proof: Err("no ONNX Runtime".to_owned()), ..findings(None) };
    stage.end(Ok(Done::Validated(unproven)));
    assert_eq!(stage.shown(), (State::Ready, String::new()));
    assert_eq!(stage.offered(), [("unproven".to_owned(), None)]);
    let entry = stage.list().values().next().unwrap();
    assert_eq!(entry.engines[0].validations[0].unproven.as_deref(), Some("no ONNX Runtime"));
}

#[tokio::test(start_paused = true)]
async fn if_one_checkpoints_weights_do_not_fit_another_one_is_used() {
    let names = ["a.safetensors", "b.safetensors"];
    let mut stage = Stage::with(1, BuildWhen::Always, EngineKind::Shared, &names).await;
    stage.end_build();
    stage.look_if_due().await;
    let unfit = || Err(Failure::Unfit("out.2.weight holds 7e4, which is past fp16".to_owned()));
    let with = |stage: &Stage| stage.owners.jobs.running()[0].work.want.weights;
    let newest = with(&stage);
    stage.end(unfit());
    stage.look_if_due().await;
    assert_eq!(stage.at_work().len(), 1, "{:?}", stage.queue());
    assert_ne!(with(&stage), newest);
    stage.end(unfit());
    stage.look_if_due().await;
    assert!(stage.at_work().is_empty() && stage.queue().is_empty(), "nobody is left");
    let entry = stage.list().values().next().unwrap();
    let reason = entry.reason.as_deref().unwrap();
    assert!(reason.contains("holds 7e4"), "{reason}");

    stage.ask(Request::Retry { reference: "a".to_owned() });
    stage.look_if_due().await;
    stage.end_validation(Some(0.01));
    assert_eq!(stage.offered(), [("ready".to_owned(), Some(0.01))]);
}

#[tokio::test(start_paused = true)]
async fn an_engine_is_validated_once_on_two_equal_gpus_and_again_with_another_driver() {
    let mut stage = published(2, EngineKind::Shared).await;
    assert_eq!(stage.at_work().len(), 1, "one of both does");
    assert!(stage.offered().is_empty());
    stage.end_validation(Some(0.001));
    assert!(stage.owners.jobs.is_idle() && stage.queue().is_empty());
    assert_eq!(stage.offered(), [("ready".to_owned(), Some(0.001))]);

    stage.update_driver("2");
    stage.look(&readings(&[0, 0])).await;
    let Task::Validate(published) = stage.job().task else { panic!("{:?}", stage.job().task) };
    let folder = published.kernels.parent().and_then(|folder| folder.file_name()).unwrap();
    assert_eq!(folder, "a_GPU-2-1.7.1.116");
    assert_eq!(stage.shown().0, State::Ready, "it serves meanwhile");
    assert_eq!(stage.offered(), [("ready".to_owned(), Some(0.001))]);
    stage.end_validation(Some(0.5));
    assert_eq!(stage.shown().0, State::Failed);
    assert_eq!(stage.offered(), [("failed".to_owned(), Some(0.5))]);
}

#[tokio::test(start_paused = true)]
async fn gpus_of_several_models_each_validate_an_engine() {
    let mut stage = published(2, EngineKind::Shared).await;
    stage.end_validation(Some(0.001));
    stage.name_gpu(1, "another GPU");
    stage.look(&readings(&[0, 0])).await;
    assert_eq!(stage.at_work(), [("GPU-1".to_owned(), true)]);
    stage.end_validation(Some(0.002));
    let entry = stage.list().values().next().unwrap();
    let gpus = entry.engines[0].validations.iter().map(|validation| validation.gpu.as_str());
    assert_eq!(gpus.collect::<Vec<_>>(), ["another GPU", "a GPU"]);
}

#[tokio::test(start_paused = true)]
async fn while_an_engine_is_validated_on_its_gpu_another_one_is_built_on_the_next() {
    let names = ["a.safetensors", "b.safetensors", "c.safetensors"];
    let mut stage = Stage::with(2, BuildWhen::Always, EngineKind::Baked, &names).await;
    let at = |gpu: usize, is_validation| (format!("GPU-{gpu}"), is_validation);
    assert_eq!(stage.at_work(), [at(0, false), at(1, false)]);
    stage.end_build();
    assert_eq!(
        stage.at_work(),
        [at(0, false), at(1, true)],
        "the validation comes before the last"
    );
    stage.end_validation(Some(0.001));
    assert_eq!(stage.at_work(), [at(0, false), at(1, false)]);
    assert!(stage.queue().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_shared_engine_is_validated_once_for_all_checkpoints() {
    let names = ["a.safetensors", "b.safetensors"];
    let mut stage = Stage::with(1, BuildWhen::Always, EngineKind::Shared, &names).await;
    stage.end_build();
    stage.look_if_due().await;
    assert_eq!(path(&stage), "/m/b.safetensors", "the newest");
    stage.end_validation(Some(0.001));
    assert!(stage.queue().is_empty() && stage.owners.jobs.is_idle());
    assert_eq!(stage.offered().len(), 1);
}

/// An existing file; files with later names are newer.
fn file(dir: &TempDir, name: &str) -> String {
    let path = dir.path().join(name);
    fs::write(&path, name).unwrap();
    let later = Duration::from_secs(name.as_bytes()[0].into());
    fs::File::options().append(true).open(&path).unwrap().set_modified(UNIX_EPOCH + later).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The file that the job validates with.
fn path(stage: &Stage) -> String {
    stage.job().file().unwrap().0.display().to_string()
}

#[tokio::test(start_paused = true)]
async fn a_validation_continues_with_another_file_if_its_file_is_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let names = ["a.safetensors", "b.safetensors"].map(|name| file(&dir, name));
    let names = names.each_ref().map(String::as_str);
    let mut stage = Stage::with(1, BuildWhen::Always, EngineKind::Shared, &names).await;
    stage.end_build();
    stage.look_if_due().await;
    for lost in [1, 0] {
        assert_eq!(path(&stage), names[lost]);
        fs::remove_file(names[lost]).unwrap();
        let why = if lost == 1 { "no such file" } else { "ended by signal 7" }.to_owned();
        let failure = if lost == 1 { Failure::Refused(why) } else { Failure::Died(why) };
        stage.end(Err(failure));
    }
    assert!(stage.owners.jobs.is_idle(), "it waits for a file");
    assert!(stage.owners.retry.is_empty());
    assert_eq!(stage.owners.library.engines().manifests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_validation_is_stopped_and_repeated() {
    let mut stage = Stage::new(1, BuildWhen::Idle, &["a.safetensors", "b.safetensors"]).await;
    stage.look_for(WINDOW_S + 1.0, &busy(0, None)).await;
    stage.end_build();
    assert!(matches!(stage.job().task, Task::Validate(_)), "before the other build");
    stage.look(&busy(87, None)).await;
    assert_eq!(stage.workers(), (2, 2));
    assert_eq!(stage.queue(), ["not validated on this GPU yet", "no engine yet"]);
    stage.look_for(WINDOW_S + 1.0, &busy(0, None)).await;
    assert!(matches!(stage.job().task, Task::Validate(_)));
    stage.ask(Request::Pause { seconds: None });
    yield_now().await;
    assert_eq!((stage.workers(), stage.queue().len()), ((3, 3), 2));
    assert!(stage.owners.retry.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_failed_validation_leaves_the_engine_to_the_web_ui_until_requested() {
    let dir = tempfile::tempdir().unwrap();
    let name = file(&dir, "a.safetensors");
    let mut stage = Stage::with(1, BuildWhen::Always, EngineKind::Baked, &[&name]).await;
    stage.end_build();
    for _ in 0..3 {
        stage.end(Err(Failure::Died("killed".to_owned())));
    }
    assert!(stage.owners.jobs.is_idle());
    let (state, reason) = stage.shown();
    assert_eq!(state, State::Ready);
    assert!(reason.contains("not validated on a GPU: killed; this happened 3 times"), "{reason}");
    assert_eq!(stage.offered(), [("unproven".to_owned(), None)]);
    stage.ask(Request::Retry { reference: "a".to_owned() });
    stage.end_validation(Some(0.001));
    assert_eq!(stage.shown(), (State::Ready, String::new()));
}

#[tokio::test(start_paused = true)]
async fn a_validation_without_enough_memory_waits_then_runs_alone_then_fails() {
    let out = || Err(Failure::OutOfMemory { needed: Some(3 << 30), free: 1 << 30 });
    let mut stage = Stage::with(1, BuildWhen::Idle, EngineKind::Shared, &["a.safetensors"]).await;
    stage.end_build();
    stage.look_for(WINDOW_S + 1.0, &memory(1 << 30, 0)).await;
    assert_eq!(stage.workers(), (1, 1), "what builds takes none of it");
    let reason = stage.shown().1;
    assert!(reason.contains("about 2.1 GB needed, 1.1 GB free"), "{reason}");

    stage.look_for(1.0, &memory(9 << 30, 0)).await;
    assert_eq!(stage.workers().0, 2);
    stage.end(out());
    assert!(stage.shown().1.contains("memory has run out"), "{:?}", stage.shown());
    stage.look_for(58.0, &memory(9 << 30, 0)).await;
    assert_eq!(stage.workers().0, 2, "not within a minute");
    stage.look_for(4.0, &memory(9 << 30, 1)).await;
    assert_eq!(stage.workers().0, 2, "not beside others");
    assert!(stage.shown().1.contains("waits to be alone"), "{:?}", stage.shown());
    stage.look_for(1.0, &memory(9 << 30, 0)).await;
    assert_eq!(stage.workers().0, 3);
    stage.end(out());
    let (state, reason) = stage.shown();
    assert_eq!(state, State::Ready, "the web UI compares it");
    assert!(reason.contains("3.2 GB needed, 1.1 GB free"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_validation_without_enough_memory_is_retried_after_a_minute() {
    let mut stage = published(1, EngineKind::Baked).await;
    stage.look(&memory(9 << 30, 0)).await;
    stage.end(Err(Failure::OutOfMemory { needed: None, free: 1 }));
    assert!(stage.owners.jobs.is_idle());
    let next = stage.owners.next_deadline();
    assert!(next <= Instant::now() + Duration::from_secs(61));
    advance(Duration::from_secs(61)).await;
    stage.owners.step(Event::Tick);
    assert!(matches!(stage.job().task, Task::Validate(_)));
}

#[tokio::test(start_paused = true)]
async fn an_outdated_engine_is_used_until_its_replacement_is_validated() {
    let mut stage = published(1, EngineKind::Baked).await;
    stage.end_validation(Some(0.001));
    let old = stage.owners.library.engines().manifests().keys().next().copied();
    let mut config = stage.owners.config.clone();
    config.compute_capabilities = vec!["8.9".parse().unwrap()];
    config.engines = Some(EngineKind::Shared);
    stage.owners.settings = Some(Box::new(move || Ok(config.clone())));
    stage.ask(Request::Reload);
    stage.end_build();
    assert_eq!(stage.owners.library.engines().manifests().len(), 2);
    assert_eq!(stage.offered(), [("ready".to_owned(), Some(0.001))], "the old one");
    stage.end_validation(Some(0.002));
    assert_eq!(stage.offered(), [("ready".to_owned(), Some(0.002))]);
    let left = stage.owners.library.engines().manifests();
    assert!(left.len() == 1 && left.keys().next().copied() != old);
}
