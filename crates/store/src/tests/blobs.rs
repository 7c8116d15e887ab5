use super::*;
use crate::{Put, SharedEngine, names};

/// Compressed.
fn packed(content: &[u8]) -> Vec<u8> {
    zstd::encode_all(content, 3).unwrap()
}

#[tokio::test]
async fn a_blob_that_is_not_what_it_should_be_leaves_nothing_behind() {
    for place in Place::both() {
        let (manifest, plan) = engine("one");
        let store = place.store();
        store.put_engine(&manifest, &place.file("plan", &plan)).await.unwrap();
        let good = store.engine(&manifest.key).await.unwrap().unwrap();
        let name = names::blob(&manifest.blake3);
        let blob = place.get(&name).await.unwrap().to_vec();
        let bytes = manifest.bytes;
        let too_large = |refusal: &Refusal| matches!(refusal, Refusal::TooLarge { limit, .. } if *limit == bytes);
        let says = |part: &'static str| move |refusal: &Refusal| matches!(refusal, Refusal::NotWhatItSays(why) if why.contains(part));
        let mut wrong = plan.clone();
        wrong[5] ^= 1;
        let mut damaged = blob.clone();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 0x55;
        let torn = blob[..blob.len() - 4].to_vec();
        let with_rest = [&blob[..], b"rest"].concat();
        let two = [&blob[..], &packed(b"more")].concat();
        // What the compressed size is said to be, and whether it is refused for what it is.
        type Check<'a> = Box<dyn Fn(&Refusal) -> bool + 'a>;
        let cases: Vec<(&str, Vec<u8>, Option<u64>, Check<'_>)> = vec![
            ("torn", torn.clone(), None, Box::new(says("bytes and not"))),
            (
                "torn, in the size it has",
                torn.clone(),
                Some(torn.len() as u64),
                Box::new(|refusal| *refusal == Refusal::Truncated),
            ),
            (
                "empty",
                vec![],
                Some(0),
                Box::new(|refusal| {
                    matches!(refusal, Refusal::Truncated | Refusal::NotWhatItSays(_))
                }),
            ),
            (
                "another size",
                blob.clone(),
                Some(good.packed_bytes + 1),
                Box::new(says("bytes and not")),
            ),
            ("too long", packed(&[&plan[..], b"x"].concat()), None, Box::new(too_large)),
            ("too short", packed(&plan[1..]), None, Box::new(says("bytes and not"))),
            ("wrong bytes", packed(&wrong), None, Box::new(says("BLAKE3"))),
            ("a bomb", packed(&vec![0; 64 << 20]), None, Box::new(too_large)),
            ("no zstd", plan[..100].to_vec(), None, Box::new(says("does not decompress"))),
            ("rest", with_rest, None, Box::new(says("does not decompress"))),
            ("two frames", two, None, Box::new(too_large)),
            ("damaged", damaged, None, Box::new(|_| true)),
        ];
        let to = place.at("fetched");
        for (what, blob, says, is_refused) in cases {
            let packed_bytes = match what {
                "torn" => good.packed_bytes,
                _ => says.unwrap_or(blob.len() as u64),
            };
            place.put(&name, blob).await;
            let engine = SharedEngine { packed_bytes, ..good.clone() };
            let refusal = refusal(store.fetch_plan(&engine, &to).await);
            assert!(is_refused(&refusal), "{what}: {refusal}");
            assert_eq!(names_in(to.parent().unwrap()), ["plan"], "{what}");
        }
        place.raw.delete(&object(&name)).await.unwrap();
        not_what_it_says(store.fetch_plan(&good, &to).await, "missing");
        fs::write(&to, "before").unwrap();
        not_what_it_says(store.fetch_plan(&good, &to).await, "missing");
        assert_eq!(fs::read(&to).unwrap(), b"before");
    }
}

#[tokio::test]
async fn a_window_of_gigabytes_is_not_made() {
    let place = Place::memory();
    let (manifest, plan) = engine("one");
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.window_log(30).unwrap();
    std::io::copy(&mut plan.as_slice(), &mut encoder).unwrap();
    let blob = encoder.finish().unwrap();
    let engine = SharedEngine { packed_bytes: blob.len() as u64, manifest: manifest.clone() };
    place.put(&names::blob(&manifest.blake3), blob).await;
    let fetched = place.store().fetch_plan(&engine, &place.at("fetched")).await;
    not_what_it_says(fetched, "does not decompress");
}

#[tokio::test]
async fn a_blob_that_cannot_be_written_is_told_by_its_path() {
    let place = Place::memory();
    let (manifest, plan) = engine("one");
    let store = place.store();
    store.put_engine(&manifest, &place.file("plan", &plan)).await.unwrap();
    let engine = store.engine(&manifest.key).await.unwrap().unwrap();
    let to = place.at("no folder").join("fetched");
    let Err(StoreError::Local { path, .. }) = store.fetch_plan(&engine, &to).await else {
        panic!()
    };
    assert_eq!(path, to);
}

#[tokio::test]
async fn putting_mends_a_blob_and_a_manifest_with_another_size() {
    for place in Place::both() {
        let (manifest, plan) = engine("one");
        let store = place.store();
        let file = place.file("plan", &plan);
        let name = names::blob(&manifest.blake3);
        store.put_engine(&manifest, &file).await.unwrap();
        let good = place.get(&name).await.unwrap();
        let mut damaged = good.to_vec();
        damaged.pop();
        for bad in [damaged, Vec::new(), packed(b"other")] {
            place.put(&name, bad).await;
            store.put_engine(&manifest, &file).await.unwrap();
            assert_eq!(place.get(&name).await.unwrap(), good);
        }
        place.raw.delete(&object(&name)).await.unwrap();
        store.put_engine(&manifest, &file).await.unwrap();
        assert_eq!(place.get(&name).await.unwrap(), good);
        assert_eq!(store.put_engine(&manifest, &file).await.unwrap(), Put::Known);
        // Another release compresses in another way.
        let other = zstd::encode_all(&plan[..], 1).unwrap();
        assert_ne!(other.len(), good.len());
        place.put(&name, other.clone()).await;
        assert_eq!(store.put_engine(&manifest, &file).await.unwrap(), Put::New);
        assert_eq!(place.get(&name).await.unwrap(), other);
        let engine = store.engine(&manifest.key).await.unwrap().unwrap();
        store.fetch_plan(&engine, &place.at("fetched")).await.unwrap();
    }
}

#[tokio::test]
async fn a_large_blob_goes_part_by_part() {
    for place in Place::both() {
        // What can't be compressed.
        let mut plan = vec![0; 40 << 20];
        blake3::Hasher::new().finalize_xof().fill(&mut plan);
        let mut spec = samples::spec(Weights::Shared(samples::signature()));
        spec.recipe += 1;
        let manifest = Manifest::new(spec, vec![], id("x"), samples::built(&plan), 7, 1.0);
        let store = place.store();
        let file = place.file("plan", &plan);
        assert_eq!(store.put_engine(&manifest, &file).await.unwrap(), Put::New);
        assert_eq!(store.put_engine(&manifest, &file).await.unwrap(), Put::Known);
        let engine = store.engine(&manifest.key).await.unwrap().unwrap();
        assert!(engine.packed_bytes > 32 << 20);
        store.fetch_plan(&engine, &place.at("fetched")).await.unwrap();
        assert!(fs::read(place.at("fetched")).unwrap() == plan);
    }
}
