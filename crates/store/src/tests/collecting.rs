use std::sync::atomic::{AtomicUsize, Ordering};

use super::{listing::filled, odd::Odd, *};
use crate::{Collected, GcPolicy, Kind, names};

fn names_of(collected: &[Collected]) -> Vec<&str> {
    collected.iter().map(|one| one.name.as_str()).collect()
}

/// All that is in the folder.
async fn everything(place: &Place) -> Vec<String> {
    let store = place.store();
    let mut all = Vec::new();
    for kind in
        [Kind::Engine, Kind::Validation, Kind::Kernels, Kind::Content, Kind::Blob, Kind::Claim]
    {
        all.extend(store.listed(kind).await.unwrap().into_iter().map(|(name, ..)| name));
    }
    all
}

async fn age_all(place: &Place, days: u64) {
    for name in everything(place).await {
        place.age(&name, days);
    }
}

#[tokio::test]
async fn what_is_named_or_fresh_stays() {
    let place = Place::folder();
    let store = place.store();
    filled(&place).await;
    let blob = |content: &str| names::blob(&id(content));
    // What another group with its own keys has put, and what nobody names.
    let (theirs, plan) = engine("theirs");
    place.foreign().put_engine(&theirs, &place.file("plan", &plan)).await.unwrap();
    age_all(&place, 2).await;
    place.put(&blob("old"), "x").await;
    place.age(&blob("old"), 2);
    place.put(&blob("fresh"), "x").await;
    place.put("blobs/README", "x").await;
    place.age("blobs/README", 9);
    let before = everything(&place).await;

    let claim = names::claim(&id("file"), 0);
    let expected = [blob("old"), claim.clone()];
    let dry = store.gc(&GcPolicy::default(), true).await.unwrap();
    assert_eq!(names_of(&dry), expected);
    assert_eq!(dry[0].bytes, 1);
    assert_eq!(everything(&place).await, before);
    assert_eq!(store.gc(&GcPolicy::default(), false).await.unwrap(), dry);
    let after: Vec<_> = before.into_iter().filter(|name| !expected.contains(name)).collect();
    assert_eq!(everything(&place).await, after);
    assert_eq!(store.gc(&GcPolicy::default(), false).await.unwrap(), []);
    assert_eq!(
        names_in(&place.root().join("v1")),
        ["blobs", "claims", "contents", "engines", "kernels", "validations"]
    );
}

#[tokio::test]
async fn with_an_engine_goes_what_belongs_to_it() {
    let place = Place::folder();
    let store = place.store();
    let (manifest, machine) = filled(&place).await;
    let engine = names::engine(&manifest.key);
    age_all(&place, 20).await;
    store.put_content(&id("other"), &1).await.unwrap();
    let expected = [
        engine.clone(),
        names::of_machine(Kind::Validation, &machine, &manifest.key).unwrap(),
        names::of_machine(Kind::Kernels, &machine, &manifest.key).unwrap(),
        names::blob(&manifest.blake3),
        names::blob(&id("kernels")),
        names::claim(&id("file"), 0),
    ];
    let sorted = |mut names: Vec<&str>| {
        names.sort_unstable();
        names.join("\n")
    };
    let expected = sorted(expected.iter().map(String::as_str).collect());
    let older = |days: u64| {
        let older_than = Some(Duration::from_secs(days * 24 * 3600));
        GcPolicy { older_than, ..GcPolicy::default() }
    };
    assert_eq!(store.gc(&older(30), true).await.unwrap().len(), 1);
    assert_eq!(sorted(names_of(&store.gc(&older(10), true).await.unwrap())), expected);
    // The same if somebody removes the engine alone.
    place.raw.delete(&object(&engine)).await.unwrap();
    let collected = store.gc(&GcPolicy::default(), false).await.unwrap();
    let without = expected.replace(&format!("{engine}\n"), "");
    assert_eq!(sorted(names_of(&collected)), without);
}

#[tokio::test]
async fn what_belongs_to_a_fresh_engine_stays_though_it_is_old() {
    let place = Place::folder();
    let (manifest, _) = filled(&place).await;
    age_all(&place, 20).await;
    place.put(&names::engine(&manifest.key), "damaged, but there").await;
    let collected = place.store().gc(&GcPolicy::default(), true).await.unwrap();
    // Its plan is named by nothing now.
    assert_eq!(names_of(&collected), [names::blob(&manifest.blake3), names::claim(&id("file"), 0)]);
}

#[tokio::test]
async fn a_stale_listing_removes_nothing_that_is_needed() {
    let folder = Place::folder();
    let (manifest, _) = filled(&folder).await;
    age_all(&folder, 20).await;
    let claim = names::claim(&id("file"), 0);
    // The engine is not listed at all, then only when it is listed for the second time.
    for hidden_for in [usize::MAX, 1] {
        let listings = AtomicUsize::new(0);
        let engine = object(&names::engine(&manifest.key));
        let mut odd = Odd::over(folder.raw.clone());
        odd.listed = Arc::new(move |meta| {
            meta.location != engine || listings.fetch_add(1, Ordering::Relaxed) >= hidden_for
        });
        let place = Place { dir: tempfile::tempdir().unwrap(), ..Place::of(Arc::new(odd)) };
        let store = Store::of(
            Backend::of((place.reach)(&place), Limits::default()),
            folder.trust(),
            None,
            None,
        );
        let collected = store.gc(&GcPolicy::default(), true).await.unwrap();
        let blob = names::blob(&manifest.blake3);
        match hidden_for {
            // A plan that is older than a day, and that no listing names, is as good as gone.
            usize::MAX => assert_eq!(names_of(&collected), [blob.as_str(), &claim]),
            _ => assert_eq!(names_of(&collected), [claim.as_str()]),
        }
    }
}

#[tokio::test]
async fn unless_everything_was_read_nothing_is_removed() {
    let place = Place::folder();
    filled(&place).await;
    let old = names::blob(&id("old"));
    place.put(&old, "x").await;
    place.age(&old, 2);
    place.put(&names::content(&id("large")), vec![b'x'; 2000]).await;
    let store = place.store_with(Limits { sealed_bytes: 1900, ..Limits::default() });
    let gc = store.gc(&GcPolicy::default(), false).await;
    assert!(matches!(refusal(gc), Refusal::TooLarge { .. }));
    assert!(place.get(&old).await.is_some());
}

#[tokio::test]
async fn what_a_killed_writer_has_left_goes_too() {
    let place = Place::folder();
    let (manifest, machine) = filled(&place).await;
    let kernels = names::of_machine(Kind::Kernels, &machine, &manifest.key).unwrap();
    let blob = names::blob(&id("old"));
    let [old, other] = [format!("{blob}#1"), format!("{kernels}#27")];
    let not_ours = ["blobs/README#1".to_owned(), format!("{blob}#x"), format!("{blob}#")];
    for name in not_ours.iter().chain([&old, &other, &format!("{blob}#2")]) {
        fs::write(place.root().join("v1").join(name), "half").unwrap();
        place.age(name, u64::from(!name.ends_with("#2")) * 2);
    }
    let collected = place.store().gc(&GcPolicy::default(), false).await.unwrap();
    assert_eq!(names_of(&collected), [&other, &old]);
    assert_eq!((collected[1].kind, collected[1].bytes), (Kind::Blob, 4));
    let left = names_in(&place.root().join("v1/blobs"));
    assert_eq!(left.iter().filter(|name| name.contains('#')).count(), 4);
}
