//! Checkpoints that are usable by their headers before their content is known.

use checkpoint::FileSystem;
use config::{BuildWhen, EngineKind};
use engine::Task;
use protocol::{EntryKey, Hashing, Reply, Request, State};
use tokio::sync::oneshot::{self, error::TryRecvError};

use crate::{
    event::Event,
    inventory::{self, FileChange, Learned, Outcome, Stamp, Visit},
    samples::{identified, identity, known, provisional},
    scenarios::stage::Stage,
};

const NEW: Stamp = Stamp {
    device: 1,
    inode: 77,
    size: 6_500_000_000,
    mtime_ns: 77,
    changed_ns: 77,
    born_ns: 0,
    file_system: FileSystem { kind: 0xef53, id: 1, has_driver: true },
};

fn path(path: &str) -> EntryKey {
    EntryKey::Path(path.to_owned())
}

/// A daemon with one file, `/m/new.safetensors`, whose header was read.
async fn stage(engines: EngineKind) -> Stage {
    let mut stage = Stage::with(0, BuildWhen::Always, engines, &[]).await;
    lies_at(&mut stage, "/m/new.safetensors", NEW);
    stage
}

fn lies_at(stage: &mut Stage, path: &str, stamp: Stamp) {
    let header = known(&stamp, provisional(&stamp));
    stage.owners.store.remember(path.as_ref(), &stamp, &header);
    let found = vec![visit(path, Some(stamp))];
    stage.owners.step(Event::Files(inventory::FileEvent::Looked(found)));
    stage.refresh();
}

fn visit(path: &str, stamp: Option<Stamp>) -> Visit {
    Visit { path: path.into(), stamp, links: 1, cause: FileChange::default() }
}

/// The whole file was read.
fn hash(stage: &mut Stage, path: &str, stamp: Stamp, outcome: Outcome) {
    let known = Some(known(&stamp, outcome));
    let learned = Learned { path: std::path::Path::new(path).into(), stamp, known };
    stage.owners.step(Event::Files(inventory::FileEvent::Hashed(learned)));
    stage.refresh();
}

#[tokio::test(start_paused = true)]
async fn a_shared_engine_is_built_and_used_before_the_content_is_known() {
    let mut stage = stage(EngineKind::Shared).await;
    assert_eq!(stage.job().task, Task::Build);
    let status = stage.owners.status();
    assert_eq!(status.building[0].weights_id, path("/m/new.safetensors"));
    let left = Hashing { files: 1, bytes: NEW.size, reading: vec![] };
    assert_eq!(status.hashing, left);

    stage.end_build();
    assert_eq!(stage.shown().0, State::Ready);
    let entry = &stage.list()[&path("/m/new.safetensors")];
    assert_eq!((&entry.weights_id, &entry.unet_id), (&None, &None));
    assert_eq!((entry.engines.len(), entry.architecture.as_deref()), (1, Some("sd1")));
    assert_eq!(stage.offered().len(), 1);

    let weights = identity("a").ids.weights;
    hash(&mut stage, "/m/new.safetensors", NEW, identified("a"));
    let key = EntryKey::Weights(weights);
    assert_eq!(stage.list().keys().collect::<Vec<_>>(), [&key]);
    assert_eq!(stage.shown().0, State::Ready);
    assert_eq!(stage.list()[&key].engines.len(), 1);
    assert_eq!(stage.owners.status().hashing, Hashing::default());
    assert_eq!(stage.owners.store.history()[0].weights_id, weights);
}

#[tokio::test(start_paused = true)]
async fn a_job_goes_on_under_the_id_that_its_checkpoint_gets() {
    let mut stage = stage(EngineKind::Shared).await;
    hash(&mut stage, "/m/new.safetensors", NEW, identified("a"));
    let weights = identity("a").ids.weights;
    assert_eq!(stage.owners.status().building[0].weights_id, EntryKey::Weights(weights));
    assert_eq!(stage.workers(), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_baked_engine_waits_for_the_content() {
    let mut stage = stage(EngineKind::Baked).await;
    assert!(stage.owners.jobs.is_idle());
    let (state, reason) = stage.shown();
    assert_eq!(state, State::Queued);
    assert!(reason.contains("content is still being read"), "{reason}");
    let (reply, mut answer) = oneshot::channel();
    let request = Request::Build { reference: "new".to_owned(), now: true };
    stage.owners.step(Event::Ask(request, reply));
    let Reply::Failed(why) = answer.try_recv().unwrap() else { panic!("it is asked for") };
    assert!(why.to_string().contains("as soon as its content is known"), "{why}");

    hash(&mut stage, "/m/new.safetensors", NEW, identified("a"));
    stage.look_if_due().await;
    assert_eq!(stage.job().spec.weights.id(), &identity("a").ids.unet);
}

#[tokio::test(start_paused = true)]
async fn a_plan_to_write_waits_for_the_content() {
    let mut stage = stage(EngineKind::Shared).await;
    stage.end_build();
    let output = stage.data.path().join("a.engine").to_string_lossy().into_owned();
    let (reply, mut answer) = oneshot::channel();
    let request = Request::Materialize { reference: "new".to_owned(), output };
    stage.owners.step(Event::Ask(request, reply));
    stage.refresh();
    assert!(stage.owners.jobs.is_idle());
    assert_eq!(answer.try_recv().unwrap_err(), TryRecvError::Empty);
    hash(&mut stage, "/m/new.safetensors", NEW, identified("a"));
    assert!(matches!(stage.job().task, Task::Materialize { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_rename_before_the_content_is_known_changes_nothing_but_the_name() {
    let mut stage = stage(EngineKind::Shared).await;
    stage.end_build();
    let moved =
        vec![visit("/m/new.safetensors", None), visit("/m/sub/other.safetensors", Some(NEW))];
    stage.owners.step(Event::Files(inventory::FileEvent::Looked(moved)));
    stage.refresh();
    assert_eq!(stage.list().keys().collect::<Vec<_>>(), [&path("/m/sub/other.safetensors")]);
    assert_eq!(stage.shown().0, State::Ready);
    assert_eq!(stage.workers().0, 1, "nothing is built again");
}

#[tokio::test(start_paused = true)]
async fn copies_are_one_checkpoint_once_their_contents_are_known() {
    let mut stage = stage(EngineKind::Shared).await;
    let copy = Stamp { inode: 78, ..NEW };
    lies_at(&mut stage, "/m/copy.safetensors", copy);
    assert_eq!(stage.list().len(), 2);
    hash(&mut stage, "/m/new.safetensors", NEW, identified("a"));
    hash(&mut stage, "/m/copy.safetensors", copy, identified("a"));
    let [only] = stage.list().values().collect::<Vec<_>>()[..] else { panic!("not one") };
    assert_eq!(only.locations, ["/m/copy.safetensors", "/m/new.safetensors"]);
}
