use futures_util::{StreamExt, stream};
use object_store::Error;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::{odd::Odd, *};
use crate::{GcPolicy, SharedEngine, names};

/// Limits that are reached at once.
fn hasty() -> Limits {
    Limits { small: SHORT, stall: SHORT, ..Limits::default() }
}

/// Puts an engine into the store.
async fn stored(place: &Place) -> (Manifest, SharedEngine) {
    let (manifest, plan) = engine("one");
    let store = place.store();
    store.put_engine(&manifest, &place.file("plan", &plan)).await.unwrap();
    let shared = store.engine(&manifest.key).await.unwrap().unwrap();
    (manifest, shared)
}

/// What answers every question about a store.
async fn is_away_for_all(place: &Place, limits: Limits, part: &str) {
    let store = place.store_with(limits);
    let (manifest, plan) = engine("one");
    let machine = engine::kernels_folder("GPU", "1", "2");
    let file = place.file("plan", &plan);
    let to = place.at("fetched");
    is_away(store.engine(&manifest.key).await, part);
    let shared = SharedEngine { manifest: manifest.clone(), packed_bytes: 9 };
    is_away(store.fetch_plan(&shared, &to).await, part);
    is_away(store.put_engine(&manifest, &file).await, part);
    is_away(store.validation(&machine, &manifest.key).await, part);
    is_away(store.fetch_kernels(&machine, &manifest.key, &to).await, part);
    is_away(store.put_kernels(&machine, &manifest.key, &file).await, part);
    is_away(store.content::<u32>(&id("file")).await, part);
    is_away(store.put_content(&id("file"), &1).await, part);
    is_away(store.claim(&id("file"), "us", None).await, part);
    is_away(store.release(&id("file")).await, part);
    is_away(store.probe().await, part);
    is_away(store.list().await, part);
    is_away(store.verify(true).await, part);
    is_away(store.gc(&GcPolicy::default(), false).await, part);
    assert_eq!(names_in(to.parent().unwrap()), ["plan"]);
}

#[tokio::test]
async fn a_folder_that_is_not_mounted_is_away_and_is_not_made() {
    let place = Place::folder();
    fs::remove_dir(place.root()).unwrap();
    let path = place.root();
    is_away_for_all(&place, Limits::default(), &format!("{}: it is no folder", path.display()))
        .await;
    assert!(!path.exists());
    // Mounted, it is there without being opened again.
    fs::create_dir(&path).unwrap();
    let store = place.store();
    store.probe().await.unwrap();
    assert_eq!(store.content::<u32>(&id("file")).await.unwrap(), None);
    fs::remove_dir(&path).unwrap();
    is_away(store.content::<u32>(&id("file")).await, "not mounted");
}

#[tokio::test]
async fn what_stalls_is_given_up() {
    let place = Place::memory();
    let (manifest, shared) = stored(&place).await;
    let mut odd = Odd::over(place.raw.clone());
    // It begins, and never goes on.
    odd.sent = Box::new(|_, chunks| {
        let begin = chunks.map(|chunk| chunk.map(|bytes| bytes.slice(..1)));
        begin.take(1).chain(stream::pending()).boxed()
    });
    let inner = place.raw.clone();
    let slow = Place { raw: Arc::new(odd), ..place };
    let store = slow.store_with(hasty());
    is_away(store.engine(&manifest.key).await, "no answer within");
    is_away(store.fetch_plan(&shared, &slow.at("fetched")).await, "nothing came for");
    // A byte now and then is too slow in all.
    let mut odd = Odd::over(inner);
    odd.sent = Box::new(|_, chunks| {
        let drops = chunks.flat_map(|chunk| {
            let chunk = chunk.unwrap();
            stream::iter((0..chunk.len()).map(move |at| Ok(chunk.slice(at..=at))))
        });
        let slowly = drops.then(async |drop| {
            tokio::time::sleep(SHORT / 4).await;
            drop
        });
        slowly.boxed()
    });
    let slow = Place { raw: Arc::new(odd), ..slow };
    let store = slow.store_with(hasty());
    is_away(store.fetch_plan(&shared, &slow.at("fetched")).await, "not whole within");
    assert_eq!(names_in(slow.at("x").parent().unwrap()), ["plan"]);
}

#[tokio::test]
async fn a_connection_that_is_cut_is_away_and_leaves_nothing() {
    let place = Place::memory();
    let (manifest, shared) = stored(&place).await;
    let mut odd = Odd::over(place.raw.clone());
    odd.sent = Box::new(|_, chunks| {
        let cut = Error::Generic { store: "Odd", source: "connection reset".into() };
        chunks
            .map(|chunk| chunk.map(|bytes| bytes.slice(..1)))
            .chain(stream::iter([Err(cut)]))
            .boxed()
    });
    let cut = Place { raw: Arc::new(odd), ..place };
    is_away(cut.store().engine(&manifest.key).await, "connection reset");
    is_away(cut.store().fetch_plan(&shared, &cut.at("fetched")).await, "connection reset");
    // One that ends early without an error.
    let mut odd = Odd::over(cut.raw.clone());
    odd.sent = Box::new(|_, _| stream::iter([Ok(Bytes::from_static(b"\x28\xb5"))]).boxed());
    let cut = Place { raw: Arc::new(odd), ..cut };
    let fetched = cut.store().fetch_plan(&shared, &cut.at("fetched")).await;
    assert_eq!(refusal(fetched), Refusal::Truncated);
    assert_eq!(names_in(cut.at("x").parent().unwrap()), ["plan"]);
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_no_empty_store() {
    let mut odd = Odd::over(Arc::new(InMemory::new()));
    odd.before_put = Box::new(|path, _| {
        let source = "404 Not Found: <Code>NoSuchBucket</Code>".into();
        Some(Error::NotFound { path: path.to_string(), source })
    });
    let place = Place::of(Arc::new(odd));
    is_away(place.store().put_content(&id("file"), &1).await, "NoSuchBucket");
}

#[tokio::test]
async fn nobody_waits_for_a_pipe_in_place_of_an_object() {
    let place = Place::folder();
    let (manifest, shared) = stored(&place).await;
    let store = place.store();
    for name in [names::engine(&manifest.key), names::blob(&manifest.blake3)] {
        let path = place.root().join("v1").join(name);
        fs::remove_file(&path).unwrap();
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    }
    not_what_it_says(store.engine(&manifest.key).await, "no regular file");
    not_what_it_says(store.fetch_plan(&shared, &place.at("fetched")).await, "no regular file");
    // It is no object, either.
    assert_eq!(store.list().await.unwrap(), []);
    // A new one takes its place.
    store.put_engine(&manifest, &place.at("plan")).await.unwrap();
    store.fetch_plan(&shared, &place.at("fetched")).await.unwrap();
}
