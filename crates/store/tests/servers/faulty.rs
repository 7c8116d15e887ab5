//! Machines that add to a bucket, take from it and claim in it, while half of all requests fail in one way or another.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    sync::{Arc, Mutex},
    time::Duration,
};

use engine::Manifest;
use store::{Claim, GcPolicy, Limits, Store, StoreError};

use crate::{
    child,
    common::{
        id,
        machine::{MACHINE, Machine, TENSORRT, manifest, plan, read, validation},
    },
};

const MACHINES: usize = 8;
const ROUNDS: usize = 10;
const ENGINES: u64 = 5;

/// Who has got which claim.
type Claims = Arc<Mutex<BTreeMap<(usize, u32), usize>>>;

pub(crate) async fn run(address: &str) {
    let machines: Vec<_> = (0..MACHINES).map(|_| Machine::new()).collect();
    let others: Vec<_> = machines.iter().collect();
    let claims = Claims::default();
    tell("/-/on");
    let tasks: Vec<_> = machines
        .iter()
        .enumerate()
        .map(|(number, machine)| {
            let store = machine.store(address, &others, impatient());
            let folder = machine.at("");
            tokio::spawn(one(store, folder, number, Arc::clone(&claims)))
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    println!("faults: {}", tell("/-/off"));

    // What a lost answer has left half done is done now.
    let store = machines[0].store(address, &others, Limits::default());
    for (manifest, plan) in engines() {
        store.put_engine(&manifest, &machines[0].file("plan", &plan)).await.unwrap();
        let engine = store.engine(&manifest.key).await.unwrap().unwrap();
        assert_eq!(engine.manifest, manifest);
        store.fetch_plan(&engine, &machines[0].at("fetched")).await.unwrap();
        assert!(read(&machines[0].at("fetched")) == plan);
    }
    let verdicts = store.verify(true).await.unwrap();
    let refused: Vec<_> = verdicts.iter().filter(|verdict| verdict.refusal.is_some()).collect();
    assert!(refused.is_empty(), "{refused:?}");
    assert!(claims.lock().unwrap().values().all(|got| *got == 1), "{claims:?}");
}

fn engines() -> impl Iterator<Item = (Manifest, Vec<u8>)> {
    (0..ENGINES).map(|number| {
        let plan = plan(number, 20_000);
        (manifest(&format!("engine {number}"), &plan), plan)
    })
}

/// One machine: it does all that there is to do, and believes nothing wrong.
async fn one(store: Store, folder: std::path::PathBuf, number: usize, claims: Claims) {
    for round in 0..ROUNDS {
        for (manifest, plan) in engines() {
            let key = &manifest.key;
            let file = folder.join("plan");
            fs::write(&file, &plan).unwrap();
            tolerated(store.put_engine(&manifest, &file).await);
            if let Some(Some(engine)) = tolerated(store.engine(key).await) {
                assert_eq!(engine.manifest, manifest);
                let to = folder.join("fetched");
                let fetched = tolerated(store.fetch_plan(&engine, &to).await);
                assert_eq!(fs::read(&to).ok(), fetched.map(|()| plan), "torn or wrong");
                let _ = fs::remove_file(&to);
            }
            let found = validation(1e-2, round as u64);
            tolerated(store.put_validation(TENSORRT, key, &found).await);
            if let Some(Some(found)) = tolerated(store.validation(MACHINE, key).await) {
                assert!((found.validated_at as usize) < ROUNDS, "{found:?}");
            }
        }
        if let Some(Claim::Ours(claim)) =
            tolerated(store.claim(&id(&format!("file {round}")), "machine", None).await)
        {
            *claims.lock().unwrap().entry((round, claim)).or_default() += 1;
        }
        tolerated(store.put_content(&id("file"), &"hash").await);
        let content = tolerated(store.content::<String>(&id("file")).await);
        assert!(content.flatten().is_none_or(|content| content == "hash"));
        if number == 0 {
            // With stale listings: what is fresh stays.
            tolerated(store.gc(&GcPolicy::default(), false).await);
            tolerated(store.list().await);
        }
    }
}

/// What came of it; a refusal and a store that is away are no news here.
fn tolerated<T>(result: Result<T, StoreError>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(StoreError::Away { .. } | StoreError::Refused { .. }) => None,
        Err(other) => panic!("{other:?}"),
    }
}

fn impatient() -> Limits {
    Limits {
        connect: Duration::from_millis(500),
        stall: Duration::from_millis(50),
        small: Duration::from_millis(300),
        retries: 1,
        retry_within: Duration::from_millis(100),
        ..Limits::default()
    }
}

/// Says something to the server that is not S3; its answer.
fn tell(path: &str) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, child::port())).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.rsplit("\r\n\r\n").next().unwrap().to_owned()
}
