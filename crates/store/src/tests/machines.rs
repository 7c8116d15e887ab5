use engine::kernels_folder;

use super::*;
use crate::{Kind, Put, names, trust::seal};

const TENSORRT: &str = "1.7.1.116";

#[tokio::test]
async fn the_newest_validation_of_a_machine_is_kept() {
    for place in Place::both() {
        let store = place.store();
        let at = |time| {
            let validation = samples::validation("NVIDIA H200", "580.1", Some(0.01));
            engine::Validation { validated_at: time, ..validation }
        };
        let machine = kernels_folder("NVIDIA H200", "580.1", TENSORRT);
        let put =
            async |time| store.put_validation(TENSORRT, &id("engine"), &at(time)).await.unwrap();
        let there = async || {
            let found = place.store().validation(&machine, &id("engine")).await.unwrap();
            found.map(|validation| validation.validated_at)
        };
        assert_eq!(there().await, None);
        assert_eq!((put(5).await, there().await), (Put::New, Some(5)));
        assert_eq!((put(5).await, there().await), (Put::Known, Some(5)));
        assert_eq!((put(4).await, there().await), (Put::Known, Some(5)));
        assert_eq!((put(6).await, there().await), (Put::New, Some(6)));
        let other = kernels_folder("NVIDIA H200", "580.2", TENSORRT);
        assert_eq!(place.store().validation(&other, &id("engine")).await.unwrap(), None);
        assert_eq!(place.store().validation(&machine, &id("other")).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_validation_of_another_machine_is_refused() {
    let place = Place::memory();
    let machine = kernels_folder("NVIDIA H200", "580.1", TENSORRT);
    let name = names::of_machine(Kind::Validation, &machine, &id("engine")).unwrap();
    for (gpu, driver, is_refused) in [
        ("NVIDIA H200", "580.1", false),
        ("NVIDIA H200", "580.10", true),
        ("NVIDIA H200", "580", true),
        ("NVIDIA H20", "580.1", true),
        ("", "", true),
    ] {
        let validation = serde_json::to_vec(&samples::validation(gpu, driver, None)).unwrap();
        place.put(&name, seal(&place.key, &name, 7, &validation).unwrap()).await;
        let found = place.store().validation(&machine, &id("engine")).await;
        if is_refused {
            not_what_it_says(found, "with driver");
        } else {
            found.unwrap().unwrap();
        }
    }
    not_what_it_says(place.store().validation("../..", &id("engine")).await, "is not named");
}

#[tokio::test]
async fn kernels_come_as_they_were_put_last() {
    for place in Place::both() {
        let store = place.store();
        let machine = kernels_folder("GPU", "1", TENSORRT);
        let to = place.at("fetched");
        let fetched = async || {
            let is_there = store.fetch_kernels(&machine, &id("engine"), &to).await.unwrap();
            is_there.then(|| fs::read(&to).unwrap())
        };
        let put = async |content: &[u8]| {
            let file = place.file("kernels", content);
            store.put_kernels(&machine, &id("engine"), &file).await.unwrap()
        };
        assert_eq!(fetched().await, None);
        assert!(!to.exists());
        assert_eq!((put(b"one").await, fetched().await), (Put::New, Some(b"one".to_vec())));
        assert_eq!((put(b"one").await, fetched().await), (Put::Known, Some(b"one".to_vec())));
        assert_eq!((put(b"").await, fetched().await), (Put::New, Some(b"".to_vec())));

        // Another's, signed, but not for this machine.
        let name = names::of_machine(Kind::Kernels, &machine, &id("engine")).unwrap();
        let sealed = place.get(&name).await.unwrap();
        let payload = place.trust().verify(&name, &sealed).unwrap().payload;
        let payload = String::from_utf8(payload).unwrap().replace(&machine, "a-b-c");
        place.put(&name, seal(&place.key, &name, u64::MAX >> 1, payload.as_bytes()).unwrap()).await;
        not_what_it_says(store.fetch_kernels(&machine, &id("engine"), &to).await, "for a-b-c");
        assert_eq!((put(b"two").await, fetched().await), (Put::New, Some(b"two".to_vec())));
    }
}
