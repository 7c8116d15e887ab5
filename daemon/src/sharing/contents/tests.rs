use std::{path::Path, sync::Arc};

use config::{SharedStore, StoreMode};
use store::SigningKey;
use tempfile::TempDir;
use tokio::time::advance;

use super::*;

/// A file that several machines see.
const FINGERPRINT: &[u8] = b"a file";

/// 6.5 GB, which take 325 s.
const SIZE: u64 = 6_500_000_000;

fn fingerprint() -> Id {
    Id::from(blake3::hash(FINGERPRINT))
}

/// A machine on a folder that all of them share, with one key.
fn machine(folder: &Path, mode: StoreMode) -> (Contents, Arc<Link>) {
    let key = folder.join("a.key");
    let key = SigningKey::read(&key).unwrap_or_else(|_| SigningKey::generate(&key).unwrap());
    let config = SharedStore {
        url: format!("file://{}", folder.display()),
        mode,
        trusted_keys: vec![key.public().to_string()],
        key: Some(folder.join("a.key")),
    };
    let seen = tempfile::NamedTempFile::new_in(folder).unwrap().path().to_owned();
    let link = Arc::new(Link::new(&config, seen, Arc::new(|| ())));
    let links = Links::default();
    links.with(|now| now.link = Some(link.clone()));
    (Contents::new(links), link)
}

async fn ask((contents, link): &(Contents, Arc<Link>)) -> &'static str {
    match contents.asked(link, fingerprint(), SIZE).await {
        Advice::Read => "read",
        Advice::Believe(_) => "believe",
        Advice::Wait(_) => "wait",
    }
}

fn three() -> (TempDir, [(Contents, Arc<Link>); 3]) {
    let folder = tempfile::tempdir().unwrap();
    let machines = [0; 3].map(|_| machine(folder.path(), StoreMode::ReadWrite));
    (folder, machines)
}

#[tokio::test(start_paused = true)]
async fn one_machine_reads_and_the_others_wait_for_it() {
    let (folder, [first, second, third]) = three();
    assert_eq!(ask(&first).await, "read");
    assert_eq!([ask(&second).await, ask(&third).await], ["wait"; 2]);
    let found = crate::inventory::samples::found();
    first
        .1
        .ask(|store| async move { store.put_content(&fingerprint(), &found).await })
        .await
        .unwrap();
    assert_eq!([ask(&second).await, ask(&third).await], ["believe"; 2]);
    assert_eq!(second.1.shown().contents_taken, 1);
    let reader = machine(folder.path(), StoreMode::Read);
    assert_eq!(ask(&reader).await, "believe");
}

#[tokio::test(start_paused = true)]
async fn a_claim_lapses_after_a_time_that_each_machine_counts_itself() {
    let (_folder, [first, second, third]) = three();
    assert_eq!(ask(&first).await, "read");
    assert_eq!(ask(&second).await, "wait");
    let allowed = PATIENCE + Duration::from_secs(SIZE / BYTES_PER_SECOND);
    advance(allowed - Duration::from_secs(1)).await;
    assert_eq!(ask(&second).await, "wait");
    // It has only just seen the claim.
    assert_eq!(ask(&third).await, "wait");
    advance(Duration::from_secs(1)).await;
    assert_eq!([ask(&second).await, ask(&third).await], ["read", "wait"]);
    // The new claim has its own time.
    advance(allowed - Duration::from_secs(1)).await;
    assert_eq!(ask(&third).await, "wait");
    advance(Duration::from_secs(1)).await;
    assert_eq!(ask(&third).await, "read");
}

#[tokio::test(start_paused = true)]
async fn who_only_reads_the_store_claims_nothing() {
    let folder = tempfile::tempdir().unwrap();
    machine(folder.path(), StoreMode::ReadWrite);
    let [first, second] = [0; 2].map(|_| machine(folder.path(), StoreMode::Read));
    assert_eq!([ask(&first).await, ask(&second).await], ["read"; 2]);
}

#[tokio::test(start_paused = true)]
async fn without_the_store_everyone_reads() {
    let (folder, [first, second, _]) = three();
    std::fs::remove_dir_all(folder.path()).unwrap();
    assert_eq!([ask(&first).await, ask(&second).await], ["read"; 2]);
}
