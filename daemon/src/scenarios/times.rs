//! When jobs may run, and what people are told once they have.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, UNIX_EPOCH},
};

use config::{BuildWhen, Config, EngineKind};
use protocol::{Failure, Preset, Reply, Request, Sizes, State};
use tokio::task::yield_now;

use super::stage::{Stage, WINDOW_S, busy, one_preset};
use crate::{
    event::Event,
    jobs,
    notices::{Herald, Notice, Notices},
};

/// Keeps what it is to tell.
#[derive(Default)]
struct Memory(Mutex<Vec<Notice>>);

impl Herald for Memory {
    fn tell(&self, notices: Vec<Notice>, _: &Config) {
        self.0.lock().unwrap().extend(notices);
    }
}

impl Memory {
    fn take(&self) -> Vec<(String, State)> {
        let told = std::mem::take(&mut *self.0.lock().unwrap());
        told.into_iter().map(|notice| (notice.path, notice.state)).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_says_when_it_ends() {
    let mut stage = Stage::new(1, BuildWhen::Idle, &["a.safetensors"]).await;
    for wrong in [0.0, -5.0, f64::NAN, 1e12] {
        let answer = stage.answer(Request::Pause { seconds: Some(wrong) });
        assert!(matches!(answer, Reply::Failed(Failure::Other { .. })), "{wrong}");
    }
    assert!(!stage.owners.status().paused);
    stage.ask(Request::Pause { seconds: Some(7200.0) });
    let status = stage.owners.status();
    let until = status.paused_until.unwrap();
    assert!(status.paused && status.gate.unwrap().starts_with("paused until "));
    assert!(stage.shown().1.contains("when the pause ends"), "{:?}", stage.shown());
    assert_eq!(stage.owners.store.paused().unwrap().until_s, Some(until));
    assert!(stage.owners.snapshot().stuck(stage.owners.clients.queue()).is_none(), "it will go on");
    assert!(!stage.owners.intent.end_pause(until - 1) && stage.owners.status().paused);
    assert!(stage.owners.intent.end_pause(until));
    stage.look_for(WINDOW_S + 1.0, &busy(0, None)).await;
    assert_eq!((stage.workers(), stage.owners.store.paused()), ((1, 0), None));
}

#[tokio::test(start_paused = true)]
async fn on_a_battery_nothing_runs_but_what_is_urgent() {
    let mut stage = Stage::new(1, BuildWhen::Always, &["a.safetensors"]).await;
    assert_eq!(stage.workers(), (1, 0));
    stage.owners.step(Event::Power(Some(true)));
    yield_now().await;
    assert_eq!(stage.workers(), (1, 1));
    assert_eq!(stage.shown().1, "waits until the machine is plugged in");
    stage.ask(Request::Build { reference: "a".to_owned(), now: true });
    stage.look_if_due().await;
    assert_eq!(stage.workers(), (2, 1), "somebody wants it now");
    stage.owners.step(Event::Power(Some(false)));
    assert_eq!(stage.workers(), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn people_are_told_what_is_ready_or_has_failed_and_nothing_twice() {
    // Of a file that is not there it could not be told that it has not changed.
    let dir = tempfile::tempdir().unwrap();
    let paths = ["a.safetensors", "b.safetensors"].map(|name| dir.path().join(name));
    for (path, second) in paths.iter().zip(1..) {
        let file = std::fs::File::create(path).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(second)).unwrap();
    }
    let [a, b] = paths.each_ref().map(|path| path.to_str().unwrap());
    let mut stage = Stage::with(0, BuildWhen::Always, EngineKind::Baked, &[a, b]).await;
    let memory = Arc::new(Memory::default());
    stage.owners.notices = Notices::new(Some(memory.clone()));
    stage.refresh();
    assert_eq!(memory.take(), [], "it was so before");
    stage.end_build();
    assert_eq!(memory.take(), [(b.to_owned(), State::Ready)]);
    stage.refresh();
    stage.end(Err(jobs::Failure::Refused("no such layer".to_owned())));
    let told = memory.0.lock().unwrap().clone();
    assert_eq!(memory.take(), [(a.to_owned(), State::Failed)]);
    assert!(told[0].reason.contains("no such layer"), "{told:?}");
    stage.refresh();
    assert_eq!(memory.take(), []);
}

#[tokio::test(start_paused = true)]
async fn an_engine_is_validated_again_on_request_and_used_meanwhile() {
    let mut stage = Stage::with(1, BuildWhen::Always, EngineKind::Shared, &["a.safetensors"]).await;
    let again = Request::Validate { reference: "a".to_owned() };
    let none = stage.answer(again.clone());
    assert!(matches!(none, Reply::Failed(_)), "{none:?}");
    stage.end_build();
    stage.look_if_due().await;
    stage.end_validation(Some(0.001));
    assert!(stage.owners.jobs.is_idle());
    stage.ask(again);
    stage.look_if_due().await;
    let found = |stage: &Stage| {
        let engine = stage.list().values().next().unwrap().engines[0].clone();
        (
            engine.state,
            engine.validations.first().and_then(|found| found.proof.as_ref()?.relative_error),
        )
    };
    assert_eq!(found(&stage), (State::Ready, Some(0.001)));
    stage.end_validation(Some(0.002));
    assert!(stage.owners.jobs.is_idle() && stage.owners.intent.asked().is_empty());
    assert_eq!(found(&stage), (State::Ready, Some(0.002)));
}

#[tokio::test(start_paused = true)]
async fn a_preset_is_weighed_written_and_removed() {
    let config = Config { rules: Vec::new(), ..one_preset(EngineKind::Shared, BuildWhen::Never) };
    let mut stage = Stage::of(0, config, &["a.safetensors"], |_| ()).await;
    let file = stage.data.path().join("sdtrtd.toml");
    std::fs::write(&file, "models_dirs = [\"/m\"]\n").unwrap();
    let read = file.clone();
    let data = stage.data.path().to_owned();
    stage.owners.settings_file = Some(file.clone());
    stage.owners.settings = Some(Box::new(move || {
        let config = config::load(Some(&read), [])?.config;
        Ok(Config { data_dir: data.clone(), fixed_engines: 0, build: BuildWhen::Never, ..config })
    }));
    let range = |min, max| Sizes { min, opt: min, max };
    let (width, height) = (range(512, 512), range(512, 1024));
    let (batch, tokens) = (range(1, 1), range(75, 75));
    let preset =
        Preset { name: "tall".to_owned(), width, height, batch, tokens, controlnet: false };
    let set = |preset: &Preset, dry_run| Request::SetPreset { preset: preset.clone(), dry_run };
    let change = |reply| match reply {
        Reply::PresetChange(change) => change,
        other => panic!("{other:?}"),
    };

    let weighed = change(stage.answer(set(&preset, true)));
    let used = |name: &str, presets: &[protocol::PresetUse]| {
        let mut all = presets.iter().filter(|all| all.preset.name == name && all.family == "sd");
        all.next().map(|found| (found.builtin, found.checkpoints))
    };
    assert_eq!(used("tall", &weighed.presets), Some((false, 1)));
    assert_eq!(used("default", &weighed.presets), Some((true, 1)));
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        "models_dirs = [\"/m\"]\n",
        "nothing is written"
    );
    let set_now = change(stage.answer(set(&preset, false)));
    assert_eq!(set_now, weighed);
    let Reply::Presets(now) = stage.answer(Request::Presets) else { panic!() };
    assert_eq!(now, weighed.presets);
    let wrong = Preset { width: range(500, 512), ..preset };
    let Reply::Failed(why) = stage.answer(set(&wrong, true)) else { panic!() };
    assert!(why.to_string().contains("512 is the nearest"), "{why}");
    let remove = |name: &str| Request::RemovePreset { name: name.to_owned(), dry_run: false };
    let removed = change(stage.answer(remove("tall")));
    assert_eq!(
        (used("tall", &removed.presets), removed.engines),
        (None, 0),
        "those of the two built-in ones are due already"
    );
    assert!(matches!(stage.answer(remove("default")), Reply::Failed(_)));
}
