//! Plans with a checkpoint's weights inside, made on request.

use config::{BuildWhen, EngineKind};
use engine::{Task, Weights};
use protocol::{Reply, Request};
use tokio::sync::oneshot;

use crate::{
    event::Event,
    jobs::{Done, Failure},
    scenarios::stage::Stage,
};

fn materialize(stage: &mut Stage, output: &str) -> oneshot::Receiver<Reply> {
    let (reply, answer) = oneshot::channel();
    let output = output.to_owned();
    stage
        .owners
        .step(Event::Ask(Request::Materialize { reference: "a".to_owned(), output }, reply));
    answer
}

#[tokio::test(start_paused = true)]
async fn a_plan_is_materialized_on_a_busy_machine_too() {
    let names = ["a.safetensors", "b.safetensors"];
    let mut stage = Stage::with(1, BuildWhen::Idle, EngineKind::Shared, &names).await;
    let output = stage.data.path().join("a.plan");
    let output = output.to_str().unwrap();
    let refused = |mut answer: oneshot::Receiver<Reply>| match answer.try_recv() {
        Ok(Reply::Failed(failure)) => failure.to_string(),
        other => panic!("{other:?}"),
    };
    stage.end_build();
    stage.ask(Request::Pause { seconds: None });
    for (output, said) in [
        ("a.plan", "no absolute path"),
        ("/nowhere/a.plan", "the folder /nowhere does not exist"),
        (stage.data.path().to_str().unwrap().to_owned().as_str(), "already exists"),
    ] {
        let failure = refused(materialize(&mut stage, output));
        assert!(failure.contains(said), "{failure}");
    }

    let mut answer = materialize(&mut stage, output);
    let job = stage.job();
    assert!(matches!(&job.task, Task::Materialize { output: to } if to.to_str() == Some(output)));
    assert_eq!(
        (job.gpu.as_deref(), job.file().unwrap().0.to_str().unwrap()),
        (None, "/m/a.safetensors")
    );
    assert!(matches!(job.spec.weights, Weights::Baked(_)));
    let mut second = materialize(&mut stage, &format!("{output}.2"));
    stage.end(Ok(Done::Materialized(7)));
    let Ok(Reply::Materialized(done)) = answer.try_recv() else { panic!() };
    assert_eq!((done.path.as_str(), done.bytes), (output, 7));
    stage.end(Err(Failure::Refused("the disk is full".to_owned())));
    let Ok(Reply::Failed(failure)) = second.try_recv() else { panic!() };
    assert!(failure.to_string().contains("the disk is full"));
    assert!(stage.owners.jobs.is_idle());
}

#[tokio::test(start_paused = true)]
async fn a_plan_is_materialized_during_a_build_only_with_enough_memory() {
    let mut stage = Stage::with(1, BuildWhen::Idle, EngineKind::Shared, &["a.safetensors"]).await;
    stage.owners.jobs.set_builders(2);
    stage.owners.gate.set_free_memory(|| Some(500_000_000));
    stage.refresh();
    let output = stage.data.path().join("a.plan");
    let _answer = materialize(&mut stage, output.to_str().unwrap());
    let tasks = |stage: &Stage| {
        stage
            .owners
            .jobs
            .running()
            .iter()
            .map(|running| running.job.task.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(tasks(&stage), [Task::Build], "half a gigabyte is too little beside it");
    stage.owners.gate.set_free_memory(|| Some(2_000_000_000));
    stage.refresh();
    assert_eq!(tasks(&stage), [Task::Build, Task::Materialize { output }]);
}
