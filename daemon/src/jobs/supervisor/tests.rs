use engine::{Hello, Phase, Report, Source, Weights, samples};

use super::*;

/// What a shell script in the worker's place makes of a job, and how far it was heard to be.
async fn run_script(script: &str) -> (Result<Done, Failure>, Vec<u8>) {
    run_within(LIMITS, script).await
}

/// The same with these limits.
async fn run_within(limits: Limits, script: &str) -> (Result<Done, Failure>, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let job = Job {
        task: Task::Build,
        spec: samples::spec(Weights::Shared(samples::signature())),
        source: Source::Signature { parameters: Vec::new() },
        libraries: None,
        folder: folder.path().to_owned(),
        gpu: None,
    };
    let mut worker = Command::new("sh");
    worker.args(["-c", script]);
    let (heard, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let hear: Hear = Box::new(move |now: Progress| heard.send(now.percent).unwrap());
    let log = folder.path().join("logs/log");
    let done = run(worker, &job, &log, limits, hear).await;
    let mut percents = Vec::new();
    while let Some(percent) = hears.recv().await {
        percents.push(percent);
    }
    (done, percents)
}

fn line(message: &impl serde::Serialize) -> String {
    format!("echo '{}'\n", serde_json::to_string(message).unwrap())
}

#[tokio::test]
async fn a_worker_of_this_release_gets_the_job_once_it_has_said_so() {
    let half = Progress { phase: Phase::Build, percent: 50 };
    let script = [
        line(&Hello::own()),
        "read -r job\necho \"$job\" | grep -q '\"task\":\"build\"' || exit 1\n".to_owned(),
        "echo what TensorRT prints\n".to_owned(),
        line(&Report::Progress(half)),
        line(&Report::Materialized(7)),
    ];
    assert_eq!(run_script(&script.concat()).await, (Ok(Done::Materialized(7)), vec![50]));
}

#[tokio::test]
async fn a_worker_of_another_release_gets_no_job_and_both_versions_are_told() {
    let other = Hello { version: "99.0.0".to_owned(), ..Hello::own() };
    // It would do any job that it were handed.
    let script = line(&other) + "read -r job && " + &line(&Report::Materialized(7));
    let (Err(Failure::Trouble(why)), _) = run_script(&script).await else { panic!("done") };
    assert!(why.contains("99.0.0") && why.contains(&Hello::own().version), "{why}");
}

/// A paused clock runs on by itself while nothing else happens.
#[tokio::test(start_paused = true)]
async fn a_worker_that_says_nothing_is_not_waited_for() {
    // Until its input closes, that is until it is given up.
    let (Err(Failure::Trouble(why)), _) = run_script("read -r job").await else { panic!("done") };
    assert!(why.contains("within 60 s"), "{why}");
}

#[tokio::test]
async fn a_worker_that_ends_before_it_says_what_it_is_is_no_jobs_fault() {
    let (Err(Failure::Trouble(why)), _) = run_script("exit 127").await else { panic!("done") };
    assert!(why.contains("127") && why.contains("logs/log"), "{why}");
}

/// A worker that has sent its hello and got its job.
fn at_work(script: &str) -> String {
    line(&Hello::own()) + "read -r job\n" + script
}

#[tokio::test]
async fn how_a_worker_ended_says_whose_fault_it_was() {
    let died = |script: &str| at_work(script);
    for (script, is_held, said) in [
        (died("kill -9 $$"), true, "because memory ran out"),
        (died("kill -7 $$"), true, "signal 7"),
        (died("kill -11 $$"), false, "signal 11"),
        (died("exit 3"), false, "ended early"),
        (died("echo 'memory allocation of 9 bytes failed' >&2; kill -6 $$"), true, "signal 6"),
    ] {
        match run_script(&script).await.0 {
            Err(Failure::Held(why)) if is_held => assert!(why.contains(said), "{why}"),
            Err(Failure::Died(why)) if !is_held => assert!(why.contains(said), "{why}"),
            other => panic!("{script}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn who_has_reported_its_end_or_closed_its_output_is_not_waited_for() {
    let short = Limits { grace: Duration::from_millis(50), ..LIMITS };
    let reported = at_work(&(line(&Report::Materialized(7)) + "exec sleep 600"));
    assert_eq!(run_within(short, &reported).await.0, Ok(Done::Materialized(7)));
    for (script, said) in [
        ("exec >&-; exec sleep 600", "closed its output"),
        // Another process holds it open.
        ("sleep 600 & exit 3", "ended early"),
    ] {
        let (Err(Failure::Died(why)), _) = run_within(short, &at_work(script)).await else {
            panic!("{script}")
        };
        assert!(why.contains(said), "{why}");
    }
    let short = Limits { standstill: Duration::from_millis(50), ..LIMITS };
    let (Err(Failure::Died(why)), _) = run_within(short, &at_work("exec sleep 600")).await else {
        panic!("done")
    };
    assert!(why.contains("got no further"), "{why}");
}

#[tokio::test]
async fn a_plan_that_is_not_what_the_worker_says_is_not_taken() {
    let claimed = line(&Report::Built(samples::built(b"plan")));
    let leave = |what: &str| {
        let folder = "folder=$(echo \"$job\" | sed 's/.*\"folder\":\"\\([^\"]*\\).*/\\1/')\n";
        at_work(&(folder.to_owned() + what + "\n" + &claimed))
    };
    let done = run_script(&leave("printf plan > $folder/engine")).await.0;
    assert_eq!(done, Ok(Done::Built(samples::built(b"plan"))));
    for (what, said) in [
        ("printf plan, > $folder/engine", "5 bytes and not 4"),
        ("printf nalp > $folder/engine", "BLAKE3"),
        ("mkdir $folder/engine", "no regular file"),
        ("printf plan > $folder/a; ln -s a $folder/engine", "no regular file"),
        ("mkfifo $folder/engine", "no regular file"),
    ] {
        let Err(Failure::Died(why)) = run_script(&leave(what)).await.0 else { panic!("{what}") };
        assert!(why.contains(said), "{what}: {why}");
    }
    for gone in ["true", "rm -r $folder"] {
        let Err(Failure::Trouble(why)) = run_script(&leave(gone)).await.0 else { panic!("{gone}") };
        assert!(why.contains("cannot read the plan"), "{gone}: {why}");
    }
}
