//! Problems of the machine pass and are reported; no checkpoint fails because of them.

use std::{fs, io, path::Path};

use checkpoint::Id;
use config::{BuildWhen, EngineKind};
use protocol::{Reply, Request, State};
use tempfile::TempDir;
use tokio::time::{Duration, advance};

use crate::{
    event::Event,
    jobs::Failure,
    planner::Setback,
    samples::baked,
    scenarios::stage::{Stage, one_preset},
};

fn trouble() -> Failure {
    Failure::Trouble("cannot write the plan: Read-only file system".to_owned())
}

fn held() -> Failure {
    Failure::Held("the worker was killed (signal 9)".to_owned())
}

/// Existing files, so that none of them is to blame.
fn files(dir: &TempDir) -> [String; 2] {
    ["a.safetensors", "b.safetensors"].map(|name| {
        let path = dir.path().join(name);
        fs::write(&path, name).unwrap();
        path.to_str().unwrap().to_owned()
    })
}

/// The engine that is being built.
fn built(stage: &Stage) -> Id {
    stage.job().spec.key()
}

#[tokio::test(start_paused = true)]
async fn all_wait_for_the_machine_and_go_on_by_themselves() {
    let mut stage = Stage::new(0, BuildWhen::Always, &["a.safetensors", "b.safetensors"]).await;
    let first = built(&stage);
    stage.end(Err(trouble()));
    assert_eq!(stage.workers().0, 1, "the other would fail for the same");
    let states: Vec<_> = stage.list().values().map(|entry| entry.state).collect();
    assert_eq!(states, [State::Queued; 2]);
    for entry in stage.list().values() {
        let reason = entry.reason.as_deref().unwrap();
        assert!(reason.contains("Read-only file system"), "{reason}");
    }
    assert_eq!(stage.owners.status().troubles.len(), 1);
    let due = stage.owners.next_deadline();
    advance(Duration::from_secs(6)).await;
    assert!(due <= tokio::time::Instant::now(), "nobody has to ask");
    stage.owners.step(Event::Tick);
    assert_eq!(built(&stage), first);
    stage.end_build();
    assert!(stage.owners.status().troubles.is_empty());
    assert!(stage.owners.retry.setbacks().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_fails_for_itself_lets_others_go_first_and_is_asked_for_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let names = files(&dir);
    let names = names.each_ref().map(String::as_str);
    let mut stage = Stage::new(0, BuildWhen::Always, &names).await;
    let killed = built(&stage);
    stage.end(Err(held()));
    let other = built(&stage);
    assert_ne!(other, killed);
    advance(Duration::from_secs(6)).await;
    stage.end_build();
    assert_eq!(built(&stage), killed);
    for _ in 0..9 {
        stage.end(Err(held()));
        assert!(stage.owners.jobs.is_idle());
        let weights = stage.list().values().find(|entry| entry.state == State::Queued).unwrap();
        assert!(weights.reason.as_deref().unwrap().contains("signal 9"), "{weights:?}");
        let reference = weights.key().to_string();
        stage.ask(Request::Retry { reference });
        assert_eq!(built(&stage), killed);
    }
}

#[tokio::test(start_paused = true)]
async fn what_sdtrtd_ended_with_before_goes_last_and_alone_and_then_waits() {
    let names = ["a.safetensors", "b.safetensors", "c.safetensors"];
    let config = || one_preset(EngineKind::Baked, BuildWhen::Always);
    let first = built(&Stage::of(0, config(), &names, |_| ()).await);
    for (deaths, waits) in [(0, false), (2, true)] {
        // A run that ended during it: its file remains.
        let mut stage = Stage::of(0, config(), &names, |data| {
            fs::create_dir(data.join("attempts")).unwrap();
            let attempt = format!(r#"{{"deaths":{deaths},"under_way":true}}"#);
            fs::write(data.join("attempts").join(first.to_string()), attempt).unwrap();
        })
        .await;
        for _ in 0..2 {
            assert_ne!(built(&stage), first);
            stage.end_build();
        }
        if waits {
            assert!(stage.owners.jobs.is_idle());
            let entry = stage.list().values().find(|entry| entry.state == State::Queued).unwrap();
            let (reason, reference) = (entry.reason.clone().unwrap(), entry.key().to_string());
            assert!(reason.contains("ended 3 times while this was done"), "{reason}");
            stage.ask(Request::Retry { reference });
        }
        assert_eq!(built(&stage), first);
        let file = stage.data.path().join("attempts").join(first.to_string());
        assert!(file.exists(), "it is written down before it begins");
        stage.end_build();
        assert!(!file.exists(), "and forgotten once it went well");
    }
}

#[tokio::test(start_paused = true)]
async fn weights_that_are_not_those_that_the_key_names_are_not_published() {
    let dir = tempfile::tempdir().unwrap();
    let [name, _] = files(&dir);
    for whose in [Some(Id::from([7; 32])), None] {
        let mut stage = Stage::new(0, BuildWhen::Always, &[&name]).await;
        fs::write(stage.job().plan(), "plan").unwrap();
        let done = match whose {
            Some(unet) => baked(b"plan", unet),
            None => crate::samples::built(b"plan"),
        };
        stage.end(Ok(crate::jobs::Done::Built(done)));
        assert!(stage.owners.library.engines().manifests().is_empty());
        assert!(stage.owners.retry.setbacks().is_empty(), "its file is to blame");
        assert!(!stage.owners.inventory.catalogue().is_all_read(), "it is read again");
        assert!(stage.owners.jobs.is_idle());
    }
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_written_down_is_not_said_to_be_done() {
    let mut stage = Stage::new(0, BuildWhen::Always, &["a.safetensors"]).await;
    let key = built(&stage);
    stage.end_build();
    stage.store.set_problem(Some("the disk is read-only"));
    for request in [Request::Pause { seconds: None }, Request::Remove { engine: key.to_string() }] {
        let answer = stage.answer(request);
        let Reply::Failed(failure) = answer else { panic!("{answer:?}") };
        assert!(failure.to_string().contains("the disk is read-only"), "{failure}");
    }
    assert!(stage.owners.library.engines().manifests().contains_key(&key));
    assert_eq!(stage.owners.status().troubles, ["the disk is read-only"]);
    stage.store.set_problem(None);
    stage.ask(Request::Resume);
    stage.ask(Request::Remove { engine: key.to_string() });
    assert_eq!(stage.owners.retry.setbacks().get(&key), Some(&Setback::Removed));
}

#[tokio::test(start_paused = true)]
async fn an_index_that_somebody_deleted_or_damaged_is_written_again() {
    let mut stage = Stage::new(0, BuildWhen::Always, &["a.safetensors"]).await;
    stage.end_build();
    let path = stage.data.path().join("index.json");
    let index = fs::read(&path).unwrap();
    type Harm = fn(&Path) -> io::Result<()>;
    let harms: [Harm; 3] = [
        |path| fs::remove_file(path),
        |path| fs::write(path, "{"),
        |path| fs::rename(path, path.with_extension("aside")),
    ];
    for harm in harms {
        harm(&path).unwrap();
        stage.owners.step(Event::IndexTouched);
        assert_eq!(fs::read(&path).unwrap(), index);
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    stage.owners.step(Event::IndexTouched);
    let troubles = stage.owners.status().troubles;
    assert!(troubles[0].contains("index.json"), "{troubles:?}");
    fs::remove_dir(&path).unwrap();
    advance(Duration::from_secs(6)).await;
    stage.owners.step(Event::Tick);
    assert_eq!(fs::read(&path).unwrap(), index);
    assert!(stage.owners.status().troubles.is_empty());
}
