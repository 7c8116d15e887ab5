use engine::kernels_folder;

use super::*;
use crate::{Kind, names};

/// With an object of each kind; returns the engine and the machine.
pub(super) async fn filled(place: &Place) -> (Manifest, String) {
    let store = place.store();
    let (manifest, plan) = engine("one");
    let machine = kernels_folder("GPU", "1", "2");
    store.put_engine(&manifest, &place.file("plan", &plan)).await.unwrap();
    let validation = samples::validation("GPU", "1", None);
    store.put_validation("2", &manifest.key, &validation).await.unwrap();
    store.put_kernels(&machine, &manifest.key, &place.file("kernels", b"kernels")).await.unwrap();
    store.put_content(&id("file"), &1).await.unwrap();
    store.claim(&id("file"), "us", None).await.unwrap();
    (manifest, machine)
}

#[tokio::test]
async fn what_is_sealed_is_listed_with_its_signer_and_what_keeps_it_from_being_used() {
    for place in Place::both() {
        let store = place.store();
        assert_eq!(store.list().await.unwrap(), []);
        let (manifest, machine) = filled(&place).await;
        place.foreign().put_content(&id("foreign"), &1).await.unwrap();
        // Nobody's.
        place.put("engines/README", "x").await;
        place.put("engines/x/y.sealed", "x").await;
        place.put("other", "x").await;

        let listed = store.list().await.unwrap();
        let kinds: Vec<Kind> = listed.iter().map(|one| one.kind).collect();
        use Kind::{Content, Engine, Kernels, Validation};
        assert_eq!(kinds, [Engine, Validation, Kernels, Content, Content]);
        let engine = &listed[0];
        assert_eq!(engine.name, names::engine(&manifest.key));
        assert_eq!(engine.signer, Some(place.key.public().id()));
        assert!(engine.time.unwrap() > 1_700_000_000);
        let sealed = place.get(&engine.name).await.unwrap().len();
        let blob = place.get(&names::blob(&manifest.blake3)).await.unwrap().len();
        assert_eq!(engine.bytes, (sealed + blob) as u64);
        assert_eq!(listed[2].name, names::of_machine(Kernels, &machine, &manifest.key).unwrap());
        for one in &listed {
            let is_foreign = one.name == names::content(&id("foreign"));
            assert_eq!(one.refusal.is_some(), is_foreign, "{one:?}");
            assert_eq!(one.signer.is_none(), is_foreign, "{one:?}");
        }
    }
}

#[tokio::test]
async fn verifying_finds_what_is_wrong_and_reads_blobs_only_if_told() {
    for place in Place::both() {
        let store = place.store();
        let (manifest, _) = filled(&place).await;
        let wrong = async |whole| {
            let verdicts = store.verify(whole).await.unwrap();
            assert_eq!(verdicts.len(), 6);
            let wrong = verdicts.into_iter().filter(|verdict| verdict.refusal.is_some());
            wrong.map(|verdict| (verdict.kind, verdict.name)).collect::<Vec<_>>()
        };
        assert_eq!((wrong(false).await, wrong(true).await), (vec![], vec![]));
        let blob = names::blob(&manifest.blake3);
        let mut bytes = place.get(&blob).await.unwrap().to_vec();
        bytes[10] ^= 1;
        place.put(&blob, bytes.clone()).await;
        let it = vec![(Kind::Blob, blob.clone())];
        assert_eq!((wrong(false).await, wrong(true).await), (vec![], it.clone()));
        bytes.pop();
        place.put(&blob, bytes).await;
        assert_eq!((wrong(false).await, wrong(true).await), (it.clone(), it.clone()));
        place.raw.delete(&object(&blob)).await.unwrap();
        assert_eq!((wrong(false).await, wrong(true).await), (it.clone(), it));
    }
}
