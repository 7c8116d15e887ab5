use std::os::unix::fs::symlink;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use unet::Precision;

use super::*;
use crate::{
    EngineSpec, Source, Weights,
    manifest::FORMAT,
    samples::{built, leave_former, spec, validation},
};

fn manifest(name: &str, plan: &[u8]) -> Manifest {
    let spec = spec(Weights::Baked(Id::from(blake3::hash(name.as_bytes()))));
    let weights = Id::from(blake3::hash(b"weights"));
    Manifest::new(spec, vec!["default".to_owned()], weights, built(plan), 0, 0.0)
}

/// The manifest of an engine with the plan `plan`.
fn manifest_of(name: &str) -> Manifest {
    manifest(name, b"plan")
}

/// Makes a library with one engine.
fn published(data_dir: &Path) -> (Library, Manifest) {
    let mut library = Library::open(data_dir).unwrap();
    let manifest = manifest("a", b"plan");
    publish(&mut library, &manifest);
    (library, manifest)
}

/// Publishes a plan, as a worker would have written it.
fn publish(library: &mut Library, manifest: &Manifest) {
    let scratch = library.scratch().unwrap();
    let job = Job {
        task: crate::Task::Build,
        spec: manifest.spec.clone(),
        source: Source::Signature { parameters: Vec::new() },
        libraries: None,
        folder: scratch.path().to_owned(),
        gpu: None,
    };
    fs::write(job.plan(), "plan").unwrap();
    library.publish(&job, manifest.clone()).unwrap();
}

fn keys(library: &Library) -> Vec<Id> {
    library.manifests().keys().copied().collect()
}

#[test]
fn a_published_engine_is_found_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (library, manifest) = published(dir.path());
    assert_eq!(keys(&library), [manifest.key]);
    assert_eq!(manifest.check(&library.plan(&manifest.key)).unwrap(), None);
    drop(library);
    let library = Library::open(dir.path()).unwrap();
    assert_eq!(library.manifests()[&manifest.key], manifest);
}

#[test]
fn a_pin_survives_a_restart_and_is_removed_with_its_engine() {
    let dir = tempfile::tempdir().unwrap();
    let (mut library, manifest) = published(dir.path());
    let key = manifest.key;
    assert_eq!(library.usage(&key), Some(&Usage::since(manifest.built_at)));
    let usage =
        Usage { last_used: 7, pinned: true, orphaned_since: Some(8), orphaned_lived_s: Some(9) };
    library.set_usage(&key, usage).unwrap();
    drop(library);

    let mut library = Library::open(dir.path()).unwrap();
    assert_eq!(library.usage(&key), Some(&usage));
    library.remove(&key, Removal::Asked).unwrap();
    assert_eq!(library.usage(&key), None);
    assert_eq!(fs::read_dir(dir.path().join("engines")).unwrap().count(), 0);
}

#[test]
fn the_newest_validation_on_each_gpu_and_driver_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (mut library, manifest) = published(dir.path());
    for (gpu, driver, error) in
        [("GPU-0", "1", 0.5), ("GPU-1", "1", 0.25), ("GPU-0", "2", 0.125), ("GPU-0", "1", 0.001)]
    {
        library.add_validation(&manifest.key, validation(gpu, driver, Some(error))).unwrap();
    }
    drop(library);
    let library = Library::open(dir.path()).unwrap();
    let kept = &library.manifests()[&manifest.key];
    let expected = [("GPU-1", "1", 0.25), ("GPU-0", "2", 0.125), ("GPU-0", "1", 0.001)];
    assert_eq!(kept.validations, expected.map(|(gpu, driver, e)| validation(gpu, driver, Some(e))));
    assert_eq!(Manifest { validations: Vec::new(), ..kept.clone() }, manifest);

    let gone = Id::from(blake3::hash(b"gone"));
    let mut library = library;
    library.add_validation(&gone, validation("GPU-0", "1", None)).unwrap();
    assert_eq!(keys(&library), [manifest.key]);
}

#[test]
fn a_broken_usage_file_costs_no_engine() {
    let dir = tempfile::tempdir().unwrap();
    let (library, manifest) = published(dir.path());
    fs::write(library.usage_path(&manifest.key), "{").unwrap();
    let of_none = library.engines.join("gone.usage");
    fs::write(&of_none, "{}").unwrap();
    drop(library);
    let library = Library::open(dir.path()).unwrap();
    assert_eq!(library.usage(&manifest.key), Some(&Usage::since(manifest.built_at)));
    assert!(!of_none.exists());
}

#[test]
fn what_a_crash_left_incomplete_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let (library, kept) = published(dir.path());
    let half = manifest("half", b"half a plan");
    fs::write(library.plan(&half.key), "half a plan").unwrap();
    let scratch = library.scratch().unwrap().keep();
    fs::write(scratch.join("engine"), "unfinished").unwrap();
    let plan = library.plan(&half.key);
    drop(library);

    let library = Library::open(dir.path()).unwrap();
    assert_eq!(keys(&library), [kept.key]);
    assert!(!plan.exists() && !scratch.exists());
    assert!(library.plan(&kept.key).exists());
}

#[test]
fn a_manifest_that_does_not_fit_its_plan_publishes_nothing() {
    type Harm = fn(&Library, &Manifest);
    let table: [(&str, Harm); 9] = [
        ("plan gone", |library, m| fs::remove_file(library.plan(&m.key)).unwrap()),
        ("plan cut", |library, m| fs::write(library.plan(&m.key), "pl").unwrap()),
        ("garbage", |library, m| fs::write(library.manifest_path(&m.key), "{").unwrap()),
        ("another key", |library, m| {
            let mut other = m.clone();
            other.spec.recipe += 1;
            let json = serde_json::to_vec(&other).unwrap();
            fs::write(library.manifest_path(&m.key), json).unwrap();
        }),
        ("newer", |library, m| {
            let newer = Manifest { format: FORMAT + 1, ..m.clone() };
            let json = serde_json::to_vec(&newer).unwrap();
            fs::write(library.manifest_path(&m.key), json).unwrap();
        }),
        ("a link for a plan", |library, m| {
            let (plan, aside) = (library.plan(&m.key), library.engines.join("aside"));
            fs::rename(&plan, &aside).unwrap();
            symlink(aside, plan).unwrap();
        }),
        ("a folder for a plan", |library, m| {
            fs::remove_file(library.plan(&m.key)).unwrap();
            fs::create_dir(library.plan(&m.key)).unwrap();
        }),
        ("a pipe for a manifest", |library, m| {
            let path = library.manifest_path(&m.key);
            fs::remove_file(&path).unwrap();
            mknodat(CWD, &path, FileType::Fifo, Mode::RUSR, 0).unwrap();
        }),
        ("a folder for a manifest", |library, m| {
            fs::remove_file(library.manifest_path(&m.key)).unwrap();
            fs::create_dir(library.manifest_path(&m.key)).unwrap();
        }),
    ];
    for (what, harm) in table {
        let dir = tempfile::tempdir().unwrap();
        let (library, manifest) = published(dir.path());
        harm(&library, &manifest);
        let opened = Library::open(dir.path()).unwrap();
        assert!(keys(&opened).is_empty(), "{what}");
        let refused: Vec<_> = opened.refused().keys().collect();
        assert_eq!(refused, [&library.manifest_path(&manifest.key)], "{what}");
        assert!(library.manifest_path(&manifest.key).exists(), "{what}: left for people to see");
    }
}

#[test]
fn what_is_no_engine_keeps_no_engine_from_being_used() {
    let dir = tempfile::tempdir().unwrap();
    let (library, manifest) = published(dir.path());
    fs::create_dir(library.engines.join("x.engine")).unwrap();
    fs::create_dir(library.engines.join("y.json")).unwrap();
    mknodat(CWD, library.engines.join("z.usage"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    fs::remove_dir(&library.scratch).unwrap();
    fs::write(&library.scratch, "a file").unwrap();
    let library = Library::open(dir.path()).unwrap();
    assert_eq!(keys(&library), [manifest.key]);
    assert!(library.engines.join("x.engine").is_dir(), "it is not ours");
    assert!(library.scratch().is_ok());
}

#[test]
fn a_work_folder_that_was_cleaned_is_made_again_and_a_pin_that_could_not_be_written_is_later() {
    let dir = tempfile::tempdir().unwrap();
    let (mut library, manifest) = published(dir.path());
    fs::remove_dir(&library.scratch).unwrap();
    let again = manifest_of("b");
    publish(&mut library, &again);
    fs::remove_dir(&library.scratch).unwrap();
    fs::write(&library.scratch, "in the way").unwrap();
    let usage = Usage { last_used: 7, pinned: true, orphaned_since: None, orphaned_lived_s: None };
    library.set_usage(&manifest.key, usage).unwrap_err();
    library.write_usages().unwrap_err();
    fs::remove_file(&library.scratch).unwrap();
    library.write_usages().unwrap();
    drop(library);
    let library = Library::open(dir.path()).unwrap();
    assert_eq!(keys(&library).len(), 2);
    assert_eq!(library.usage(&manifest.key), Some(&usage));
}

#[test]
fn checking_finds_what_changed_in_a_plan() {
    let dir = tempfile::tempdir().unwrap();
    let (mut library, manifest) = published(dir.path());
    let plan = library.plan(&manifest.key);
    for (content, said) in [("plaN", "BLAKE3"), ("pla", "3 bytes")] {
        fs::write(&plan, content).unwrap();
        let problem = manifest.check(&plan).unwrap().unwrap();
        assert!(problem.contains(said), "{problem}");
    }
    library.remove(&manifest.key, Removal::Damaged).unwrap();
    assert!(manifest.check(&plan).unwrap().unwrap().contains("missing"));
    assert!(keys(&Library::open(dir.path()).unwrap()).is_empty());
}

#[test]
fn only_what_determines_the_bytes_changes_the_key() {
    let spec = manifest("a", b"").spec;
    let changes: [fn(&mut EngineSpec); 6] = [
        |spec| spec.recipe += 1,
        |spec| spec.version.push('0'),
        |spec| spec.compute_capabilities.push("8.9".parse().unwrap()),
        |spec| spec.precision = Precision::Fp32,
        |spec| spec.weights = Weights::Baked(Id::from(blake3::hash(b"other"))),
        |spec| spec.weights = Weights::Shared(*spec.weights.id()),
    ];
    let mut keys: Vec<Id> = changes
        .iter()
        .map(|change| {
            let mut changed = spec.clone();
            change(&mut changed);
            changed.key()
        })
        .collect();
    keys.push(spec.key());
    assert_eq!(spec.key(), spec.clone().key());
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), changes.len() + 1);
}

#[test]
fn engines_of_the_previous_release_keep_their_keys_but_need_validation() {
    let dir = tempfile::tempdir().unwrap();
    let id = |name: &str| Id::from(blake3::hash(name.as_bytes()));
    let engines = dir.path().join("engines");
    for (name, weights) in
        [("baked", Weights::Baked(id("unet"))), ("shared", Weights::Shared(id("signature")))]
    {
        leave_former(dir.path(), weights, &id(name), name == "baked");
    }
    let mut library = Library::open(dir.path()).unwrap();
    for (name, is_retired) in [("baked", false), ("shared", true)] {
        let manifest = &library.manifests()[&id(name)];
        assert_eq!((manifest.is_former(), manifest.is_retired()), (true, is_retired), "{name}");
        assert!(manifest.validations.is_empty());
        assert_eq!(library.usage(&id(name)).unwrap().pinned, !is_retired);
    }
    library.add_validation(&id("baked"), validation("a GPU", "1", Some(0.001))).unwrap();
    drop(library);
    let mut library = Library::open(dir.path()).unwrap();
    assert_eq!(library.manifests()[&id("baked")].validations.len(), 1);
    for key in [id("baked"), id("shared")] {
        library.remove(&key, Removal::Superseded).unwrap();
    }
    assert_eq!(fs::read_dir(engines).unwrap().count(), 0);
}
