//! Difficult GPUs and drivers: late, lost, or without process names.

use config::{BuildWhen, ByteSize, EngineKind};
use protocol::{GpuProcess, GpuReading, State};
use tokio::time::Instant;

use crate::{
    event::Event,
    gate::{Found, Problem, Sample},
    scenarios::stage::{Stage, WINDOW_S, busy, readings},
};

/// A shared engine, and a GPU to validate it on that was idle for long enough.
async fn validating(gpus: usize) -> Stage {
    let mut stage =
        Stage::with(gpus, BuildWhen::Idle, EngineKind::Shared, &["a.safetensors"]).await;
    stage.end_build();
    stage.look_for(WINDOW_S + 1.0, &readings(&vec![0; gpus])).await;
    stage
}

/// A GPU with this much use by these processes.
fn used(percent: u32, processes: Option<Vec<GpuProcess>>) -> Sample {
    let reading = GpuReading { utilisation: Some(percent), processes, ..GpuReading::default() };
    Sample { gpus: Ok(vec![reading]), ..readings(&[]) }
}

#[tokio::test(start_paused = true)]
async fn our_own_worker_is_not_somebody_else_whatever_the_driver_names() {
    let hosts = GpuProcess { pid: 77_000, compute: true, ..GpuProcess::default() };
    let hosts = |utilisation| GpuProcess { utilisation, ..hosts.clone() };
    for processes in [None, Some(vec![]), Some(vec![hosts(None)]), Some(vec![hosts(Some(100))])] {
        let mut stage = validating(1).await;
        assert!(matches!(stage.at_work()[..], [(_, true)]), "{:?}", stage.at_work());
        let (started, stopped) = stage.workers();
        stage.look_for(50.0, &used(100, processes.clone())).await;
        assert_eq!(stage.workers(), (started, stopped), "{processes:?}");

        let game = GpuProcess {
            pid: 4243,
            name: Some("game".to_owned()),
            compute: true,
            utilisation: Some(70),
            ..GpuProcess::default()
        };
        let with_game = [processes.clone().unwrap_or_default(), vec![game]].concat();
        stage.look(&used(100, Some(with_game))).await;
        assert_eq!(stage.workers(), (started, stopped + 1), "who is seen counts: {processes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_job_of_ours_leaves_in_the_figures_does_not_close_the_gate() {
    let mut stage = validating(1).await;
    stage.look(&used(100, Some(vec![]))).await;
    stage.end_validation(Some(0.001));
    stage.look_if_due().await;
    assert_eq!(stage.shown().0, State::Ready);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_not_waited_for_for_ever() {
    for (percent, at_once) in [(100, false), (u32::MAX, true)] {
        let mut stage =
            Stage::with(1, BuildWhen::Idle, EngineKind::Shared, &["a.safetensors"]).await;
        stage.end_build();
        let stuck = used(percent, Some(vec![]));
        stage.look_for(WINDOW_S + 1.0, &stuck).await;
        assert_eq!(!stage.at_work().is_empty(), at_once, "{percent}");
        if !at_once {
            let gate = stage.owners.status().gate.unwrap();
            assert!(gate.contains("100 % by no process"), "{gate}");
            stage.look_for(60.0 - WINDOW_S - 2.0, &stuck).await;
            assert!(stage.at_work().is_empty());
            stage.look(&used(99, Some(vec![]))).await;
            stage.look_for(59.0, &stuck).await;
            assert!(stage.at_work().is_empty(), "it had changed");
            stage.look_for(2.0, &stuck).await;
            assert_eq!(stage.at_work().len(), 1);
        }
        stage.look_for(20.0, &stuck).await;
        assert_eq!(stage.workers(), (2, 1), "it is let work");
    }
}

#[tokio::test(start_paused = true)]
async fn one_gpu_that_is_lost_does_not_keep_the_other_from_work() {
    let mut stage = Stage::with(2, BuildWhen::Idle, EngineKind::Shared, &["a.safetensors"]).await;
    stage.end_build();
    let mut one_lost = readings(&[0, 0]);
    if let Ok(gpus) = &mut one_lost.gpus {
        let lost = Some("it has fallen off the bus".to_owned());
        gpus[0] = GpuReading { lost, ..GpuReading::default() };
    }
    stage.look_for(WINDOW_S + 1.0, &one_lost).await;
    assert_eq!(stage.at_work(), [("GPU-1".to_owned(), true)]);
    let problem = stage.owners.status().gpu_problem.unwrap();
    assert!(problem.starts_with("GPU 0 can't be used: it has fallen off the bus"), "{problem}");

    let before = stage.workers();
    let remaining = stage.owners.gate.gpus()[1..].to_vec();
    let problem = Some(Problem::LostGpu("GPU 0 can't be used".to_owned()));
    stage.owners.step(Event::Gpus(Found { gpus: remaining, problem }));
    stage.look_for(WINDOW_S, &readings(&[0])).await;
    assert_eq!(stage.workers(), before, "listed anew, it goes on where it is");
    assert_eq!(stage.at_work(), [("GPU-1".to_owned(), true)]);
    assert!(stage.owners.status().gpu_problem.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_comes_later_is_used_then() {
    let mut stage = Stage::with(0, BuildWhen::Idle, EngineKind::Shared, &["a.safetensors"]).await;
    stage.end_build();
    let absent = || Problem::Absent("libnvidia-ml.so.1 is not there".to_owned());
    for (problem, is_told) in [
        (absent(), false),
        (Problem::Mismatch("18".to_owned()), true),
        (Problem::Silent(5), true),
        (absent(), false),
    ] {
        stage.owners.step(Event::Gpus(Found { gpus: Vec::new(), problem: Some(problem.clone()) }));
        let shown = stage.owners.status().gpu_problem;
        assert_eq!(shown, is_told.then(|| problem.to_string()));
    }
    assert_eq!(stage.shown().0, State::Ready, "without a GPU it is not validated");
    stage.plug_in("a GPU");
    assert_eq!(stage.owners.status().gpus.len(), 1);
    stage.look_for(WINDOW_S + 1.0, &readings(&[0])).await;
    assert_eq!(stage.at_work(), [("GPU-0".to_owned(), true)]);

    stage.owners.step(Event::Gpus(Found { gpus: Vec::new(), problem: Some(absent()) }));
    assert_eq!(stage.owners.status().gpus.len(), 1, "what was there is waited for");
    assert!(stage.owners.status().gpu_problem.is_some());
}

#[tokio::test(start_paused = true)]
async fn without_a_gpu_nobody_is_disturbed_and_idle_seconds_means_nothing() {
    let mut stage = Stage::new(0, BuildWhen::Idle, &["a.safetensors"]).await;
    assert_eq!(stage.shown().1, "waits until the CPU has been looked at");
    stage.look(&readings(&[])).await;
    assert_eq!(stage.workers(), (1, 0), "not after {WINDOW_S} s");
}

#[tokio::test(start_paused = true)]
async fn nobody_asks_the_gpus_while_what_waits_lacks_room() {
    let mut stage = Stage::with(1, BuildWhen::Idle, EngineKind::Baked, &["a.safetensors"]).await;
    stage.look(&busy(0, None)).await;
    stage.owners.config.quota = Some(ByteSize::mb(1));
    stage.refresh();
    let reason = stage.shown().1;
    assert!(reason.contains("quota"), "{reason}");
    stage.owners.begin_due(Instant::now());
    assert!(stage.owners.gate.is_resting(), "a laptop's GPU may sleep");
    stage.owners.config.quota = None;
    stage.refresh();
    stage.look_for(WINDOW_S + 1.0, &busy(0, None)).await;
    assert_eq!(stage.at_work().len(), 1);
}
