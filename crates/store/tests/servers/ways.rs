//! All that a store does, at any address where nothing goes wrong.

use std::time::{Duration, Instant};

use store::{Claim, GcPolicy, Kind, Limits, Put, Refusal, Store, StoreError};

use crate::common::{
    id,
    machine::{MACHINE, Machine, TENSORRT, manifest, plan, read, validation},
};

const PATIENCE: Duration = Duration::from_secs(30);

/// Below the base there is one store for each.
pub(crate) const STORES: [&str; 5] = ["engines", "found", "claims", "foreign", "garbage"];

pub(crate) async fn all(base: &str) {
    let [engines, found, claims, foreign, garbage] = STORES.map(|name| format!("{base}/{name}"));
    engines_go_around(&engines).await;
    what_was_found_is_replaced_by_what_is_newer(&found).await;
    one_machine_reads_a_file(&claims).await;
    what_others_sign_is_refused_and_replaced(&foreign).await;
    garbage_goes_and_nothing_else(&garbage).await;
}

async fn engines_go_around(address: &str) {
    let (one, other) = (Machine::new(), Machine::new());
    let (adding, taking) = (
        one.store(address, &[], Limits::default()),
        other.store(address, &[&one], Limits::default()),
    );
    assert_eq!(adding.list().await.unwrap(), [], "an empty store");
    // One that goes in one piece, and one that goes in several.
    for (name, length) in [("small", 1_000), ("large", 40_000_000)] {
        let plan = plan(1, length);
        let manifest = manifest(name, &plan);
        let file = one.file(name, &plan);
        assert_eq!(taking.engine(&manifest.key).await.unwrap(), None);
        assert_eq!(adding.put_engine(&manifest, &file).await.unwrap(), Put::New);
        assert_eq!(adding.put_engine(&manifest, &file).await.unwrap(), Put::Known);
        let engine = taking.engine(&manifest.key).await.unwrap().unwrap();
        assert_eq!(engine.manifest, manifest);
        taking.fetch_plan(&engine, &other.at(name)).await.unwrap();
        assert!(read(&other.at(name)) == plan, "{name}");
    }
    assert!(taking.verify(true).await.unwrap().iter().all(|verdict| verdict.refusal.is_none()));
    assert_eq!(taking.list().await.unwrap().len(), 2);
}

async fn what_was_found_is_replaced_by_what_is_newer(address: &str) {
    let machine = Machine::new();
    let store = machine.store(address, &[], Limits::default());
    let engine = id("engine");
    assert_eq!(store.validation(MACHINE, &engine).await.unwrap(), None);
    let (old, new) = (validation(1e-2, 10), validation(1.1e-2, 20));
    for (put, expected) in [(&old, Put::New), (&new, Put::New), (&new, Put::Known)] {
        assert_eq!(store.put_validation(TENSORRT, &engine, put).await.unwrap(), expected);
    }
    assert_eq!(store.validation(MACHINE, &engine).await.unwrap(), Some(new));

    let to = machine.at("kernels");
    assert!(!store.fetch_kernels(MACHINE, &engine, &to).await.unwrap());
    for (content, expected) in [("few", Put::New), ("more", Put::New), ("more", Put::Known)] {
        let file = machine.file("cache", content.as_bytes());
        assert_eq!(store.put_kernels(MACHINE, &engine, &file).await.unwrap(), expected);
        assert!(store.fetch_kernels(MACHINE, &engine, &to).await.unwrap());
        assert_eq!(read(&to), content.as_bytes());
    }

    let evidence = id("evidence");
    assert_eq!(store.content::<String>(&evidence).await.unwrap(), None);
    let content = "hash".to_owned();
    assert_eq!(store.put_content(&evidence, &content).await.unwrap(), Put::New);
    assert_eq!(store.put_content(&evidence, &content).await.unwrap(), Put::Known);
    assert_eq!(store.content(&evidence).await.unwrap(), Some(content));
}

async fn one_machine_reads_a_file(address: &str) {
    const MACHINES: usize = 20;
    let machines: Vec<_> = (0..MACHINES).map(|_| Machine::new()).collect();
    let stores: Vec<_> =
        machines.iter().map(|one| one.store(address, &[], Limits::default())).collect();
    let evidence = id("file");
    for (past, number) in [(None, 0), (Some(0), 1), (None, 1)] {
        let ours = claims(&stores, past, number).await;
        let expected = usize::from(past.is_some() || number == 0);
        assert_eq!(ours, expected, "past {past:?}");
    }
    stores[0].release(&evidence).await.unwrap();
    assert_eq!(claims(&stores, None, 0).await, 1, "once more");
}

/// Lets all claim at once; how many have got it, all the others being told of this number.
async fn claims(stores: &[Store], past: Option<u32>, number: u32) -> usize {
    let claim = |(who, store): (usize, &Store)| {
        let store = store.clone();
        tokio::spawn(async move {
            store.claim(&id("file"), &format!("machine-{who}"), past).await.unwrap()
        })
    };
    let claims: Vec<_> = stores.iter().enumerate().map(claim).collect();
    let mut ours = 0;
    for claim in claims {
        match claim.await.unwrap() {
            Claim::Ours(got) => {
                assert_eq!(got, number);
                ours += 1;
            }
            Claim::Theirs(told) => assert_eq!(told, number),
        }
    }
    ours
}

async fn what_others_sign_is_refused_and_replaced(address: &str) {
    let (stranger, machine) = (Machine::new(), Machine::new());
    let (theirs, ours) = (
        stranger.store(address, &[], Limits::default()),
        machine.store(address, &[], Limits::default()),
    );
    let (evil, good) = (plan(2, 5_000), plan(3, 5_000));
    let (wrong, right) = (manifest("engine", &evil), manifest("engine", &good));
    assert_eq!(wrong.key, right.key);
    theirs.put_engine(&wrong, &stranger.file("plan", &evil)).await.unwrap();
    let refused = ours.engine(&right.key).await.unwrap_err();
    let is_foreign = |error: &StoreError| {
        matches!(error, StoreError::Refused { refusal: Refusal::Foreign { .. }, .. })
    };
    assert!(is_foreign(&refused), "{refused:?}");
    let listed = ours.list().await.unwrap();
    assert!(matches!(listed[0].refusal, Some(Refusal::Foreign { .. })), "{listed:?}");

    let put = ours.put_engine(&right, &machine.file("plan", &good)).await.unwrap();
    assert_eq!(put, Put::New, "what is refused is replaced");
    let engine = ours.engine(&right.key).await.unwrap().unwrap();
    ours.fetch_plan(&engine, &machine.at("fetched")).await.unwrap();
    assert!(read(&machine.at("fetched")) == good);
}

async fn garbage_goes_and_nothing_else(address: &str) {
    let machine = Machine::new();
    let store = machine.store(address, &[], Limits::default());
    let plan = plan(4, 5_000);
    let manifest = manifest("kept", &plan);
    store.put_engine(&manifest, &machine.file("plan", &plan)).await.unwrap();
    for content in ["first", "second"] {
        // The first's blob is nobody's once the second is there.
        let kernels = machine.file("cache", content.as_bytes());
        store.put_kernels(MACHINE, &manifest.key, &kernels).await.unwrap();
    }
    let gone = id("gone");
    store.put_validation(TENSORRT, &gone, &validation(1e-2, 1)).await.unwrap();
    store.claim(&id("file"), "machine", None).await.unwrap();

    let fresh = store.gc(&GcPolicy::default(), false).await.unwrap();
    assert_eq!(fresh, [], "all is younger than a day");
    let now = GcPolicy { fresh: Duration::ZERO, older_than: None };
    for dry in [true, false] {
        assert_eq!(kinds(&store, &now, dry).await, [Kind::Validation, Kind::Blob, Kind::Claim]);
    }
    assert_eq!(store.gc(&now, false).await.unwrap(), []);
    let engine = store.engine(&manifest.key).await.unwrap().unwrap();
    store.fetch_plan(&engine, &machine.at("fetched")).await.unwrap();
    assert!(store.fetch_kernels(MACHINE, &manifest.key, &machine.at("fetched")).await.unwrap());
}

/// What goes, once all of it can: servers tell in whole seconds when an object was written, and what is as old as that is
/// not older.
async fn kinds(store: &Store, policy: &GcPolicy, dry: bool) -> Vec<Kind> {
    let started = Instant::now();
    let mut kinds = Vec::new();
    while kinds.len() < 3 && started.elapsed() < PATIENCE {
        if dry {
            kinds.clear();
        }
        kinds.extend(store.gc(policy, dry).await.unwrap().into_iter().map(|one| one.kind));
    }
    kinds.sort();
    kinds
}
