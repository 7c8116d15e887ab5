use std::sync::atomic::{AtomicBool, Ordering};

use super::{odd::Odd, *};
use crate::{Put, SharedEngine, names, trust::seal};

#[tokio::test]
async fn an_engine_comes_as_it_was_put_without_its_validations() {
    for place in Place::both() {
        let store = place.store();
        let (manifest, plan) = engine("one");
        assert_eq!(store.engine(&manifest.key).await.unwrap(), None);
        let file = place.file("plan", &plan);
        assert_eq!(store.put_engine(&manifest, &file).await.unwrap(), Put::New);
        assert_eq!(store.put_engine(&manifest, &file).await.unwrap(), Put::Known);

        let shared = place.store().engine(&manifest.key).await.unwrap().unwrap();
        assert_eq!(shared.manifest, Manifest { validations: Vec::new(), ..manifest });
        assert!(shared.packed_bytes < 1000, "{}", shared.packed_bytes);
        let to = place.at("fetched");
        place.store().fetch_plan(&shared, &to).await.unwrap();
        assert_eq!(fs::read(&to).unwrap(), plan);
        // In place of what is there.
        fs::write(&to, "other").unwrap();
        place.store().fetch_plan(&shared, &to).await.unwrap();
        assert_eq!(fs::read(&to).unwrap(), plan);
        assert_eq!(names_in(to.parent().unwrap()), ["fetched", "plan"]);
    }
}

#[tokio::test]
async fn nothing_is_put_without_a_key_nor_what_is_not_what_its_manifest_says() {
    let place = Place::memory();
    let (manifest, plan) = engine("one");
    let file = place.file("plan", &plan);
    let keyless =
        Store::of(Backend::of((place.reach)(&place), Limits::default()), place.trust(), None, None);
    assert!(matches!(keyless.put_engine(&manifest, &file).await, Err(StoreError::NoKey)));
    let web = "https://host/store".parse().unwrap();
    let web =
        Store::open(&web, place.trust(), Some(place.key.clone()), None, Limits::default()).unwrap();
    assert!(matches!(web.put_engine(&manifest, &file).await, Err(StoreError::ReadOnly)));
    assert!(matches!(web.claim(&id("x"), "us", None).await, Err(StoreError::ReadOnly)));

    let store = place.store();
    let other = place.file("other", b"other");
    let Err(StoreError::Local { path, error }) = store.put_engine(&manifest, &other).await else {
        panic!()
    };
    assert_eq!((path, error.kind()), (other, std::io::ErrorKind::InvalidData));
    let Err(StoreError::Local { .. }) = store.put_engine(&manifest, &place.at("nothing")).await
    else {
        panic!()
    };
    let mut of_other = manifest.clone();
    of_other.key = id("other");
    not_what_it_says(store.put_engine(&of_other, &file).await, "its key is not that");
    let former = Manifest { format: 3, ..manifest.clone() };
    not_what_it_says(store.put_engine(&former, &file).await, "format 3");
    assert!(place.get(&names::engine(&manifest.key)).await.is_none());
}

#[tokio::test]
async fn an_object_counts_only_under_its_name_by_a_trusted_key() {
    for place in Place::both() {
        let (one, plan) = engine("one");
        let (other, _) = engine("other");
        let store = place.store();
        store.put_engine(&one, &place.file("plan", &plan)).await.unwrap();
        let sealed = place.get(&names::engine(&one.key)).await.unwrap();
        let foreign = place.foreign();
        assert!(matches!(refusal(foreign.engine(&one.key).await), Refusal::Foreign { .. }));

        place.put(&names::engine(&other.key), sealed.clone()).await;
        let says = names::engine(&one.key);
        assert_eq!(refusal(store.engine(&other.key).await), Refusal::Swapped { says });

        place.put(&names::engine(&one.key), sealed.slice(..sealed.len() - 1)).await;
        assert_eq!(refusal(store.engine(&one.key).await), Refusal::Damaged);
        place.put(&names::engine(&one.key), Bytes::new()).await;
        assert_eq!(refusal(store.engine(&one.key).await), Refusal::Truncated);
    }
}

#[tokio::test]
async fn what_a_trusted_key_has_signed_is_checked_all_the_same() {
    let place = Place::memory();
    let store = place.store();
    let (manifest, _) = engine("one");
    let name = names::engine(&manifest.key);
    let seal = |payload: &[u8]| seal(&place.key, &name, 7, payload).unwrap();
    let json = |manifest: &Manifest| {
        let engine = SharedEngine { manifest: manifest.clone(), packed_bytes: 9 };
        serde_json::to_vec(&engine).unwrap()
    };
    let mut of_other = manifest.clone();
    of_other.key = id("other");
    let mut unlike = manifest.clone();
    unlike.spec.recipe += 1;
    for (payload, part) in [
        (b"{}".to_vec(), "not understood"),
        (b"\xff".to_vec(), "not understood"),
        (json(&of_other), "it is the manifest of"),
        (json(&unlike), "its key is not that"),
        (json(&Manifest { format: 5, ..manifest.clone() }), "format 5"),
    ] {
        place.put(&name, seal(&payload)).await;
        not_what_it_says(store.engine(&manifest.key).await, part);
    }
    // What another release puts beside it.
    place.put(&name, seal(&json(&manifest))).await;
    let shared = store.engine(&manifest.key).await.unwrap().unwrap();
    assert!(shared.manifest.validations.is_empty());
}

#[tokio::test]
async fn what_is_refused_is_replaced_but_not_what_a_later_release_has_put() {
    for place in Place::both() {
        let (manifest, plan) = engine("one");
        let name = names::engine(&manifest.key);
        let file = place.file("plan", &plan);
        let store = place.store();
        assert_eq!(place.foreign().put_engine(&manifest, &file).await.unwrap(), Put::New);
        for refused in [place.get(&name).await.unwrap(), Bytes::new(), Bytes::from_static(b"{}")] {
            place.put(&name, refused).await;
            refusal(store.engine(&manifest.key).await);
            assert_eq!(store.put_engine(&manifest, &file).await.unwrap(), Put::New);
            assert!(store.engine(&manifest.key).await.unwrap().is_some());
        }
        let later = place.key.seal(&format!("sdtrt store 2 {name} 7"), b"{}").unwrap();
        place.put(&name, later.clone()).await;
        assert_eq!(refusal(store.put_engine(&manifest, &file).await), Refusal::Format(2));
        assert_eq!(place.get(&name).await.unwrap(), later);
    }
}

#[tokio::test]
async fn objects_that_are_too_large_are_not_read() {
    let place = Place::memory();
    let (manifest, plan) = engine("one");
    place.store().put_engine(&manifest, &place.file("plan", &plan)).await.unwrap();
    let shared = place.store().engine(&manifest.key).await.unwrap().unwrap();
    let store = place.store_with(Limits { sealed_bytes: 10, blob_bytes: 10, ..Limits::default() });
    assert!(matches!(
        refusal(store.engine(&manifest.key).await),
        Refusal::TooLarge { limit: 10, .. }
    ));
    let fetched = store.fetch_plan(&shared, &place.at("fetched")).await;
    assert!(matches!(refusal(fetched), Refusal::TooLarge { limit: 10, .. }));
    let put = store.put_engine(&manifest, &place.at("plan")).await;
    assert!(matches!(refusal(put), Refusal::TooLarge { limit: 10, .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_that_put_the_same_at_once_all_succeed() {
    for place in Place::both() {
        let (manifest, plan) = engine("one");
        let file = place.file("plan", &plan);
        let putting: Vec<_> = (0..8)
            .map(|_| {
                let (store, manifest, file) = (place.store(), manifest.clone(), file.clone());
                tokio::spawn(async move { store.put_engine(&manifest, &file).await.unwrap() })
            })
            .collect();
        let mut new = 0;
        for put in putting {
            new += usize::from(put.await.unwrap() == Put::New);
        }
        assert!(new >= 1);
        let shared = place.store().engine(&manifest.key).await.unwrap().unwrap();
        place.store().fetch_plan(&shared, &place.at("fetched")).await.unwrap();
        assert_eq!(fs::read(place.at("fetched")).unwrap(), plan);
    }
}

#[tokio::test]
async fn a_plan_that_is_collected_just_before_it_is_named_is_put_again() {
    let folder = Place::folder();
    let (manifest, plan) = engine("one");
    let file = folder.file("plan", &plan);
    let blob = folder.root().join("v1").join(names::blob(&manifest.blake3));
    let is_first = AtomicBool::new(true);
    let mut odd = Odd::over(folder.raw.clone());
    odd.after_put = Box::new(move |path| {
        if path.as_ref().contains("/engines/") && is_first.swap(false, Ordering::Relaxed) {
            fs::remove_file(&blob).unwrap();
        }
        None
    });
    let place = Place::of(Arc::new(odd));
    let store = place.store();
    assert_eq!(store.put_engine(&manifest, &file).await.unwrap(), Put::New);
    let shared = store.engine(&manifest.key).await.unwrap().unwrap();
    store.fetch_plan(&shared, &place.at("fetched")).await.unwrap();
}
