use super::*;
use crate::{Put, names, trust::seal};

#[tokio::test]
async fn an_older_object_in_place_of_a_newer_is_refused_also_by_the_next_process() {
    for place in Place::both() {
        let seen = place.at("seen");
        let store = || {
            let backend = Backend::of((place.reach)(&place), Limits::default());
            Store::of(backend, place.trust(), Some(place.key.clone()), Some(seen.clone()))
        };
        let name = names::content(&id("file"));
        let sealed =
            |time: u64, value: &str| seal(&place.key, &name, time, value.as_bytes()).unwrap();
        place.put(&name, sealed(5, "5")).await;
        assert_eq!(store().content::<u32>(&id("file")).await.unwrap(), Some(5));
        place.put(&name, sealed(4, "4")).await;
        let replayed = Refusal::Replayed { signed: 4, seen: 5 };
        assert_eq!(refusal(store().content::<u32>(&id("file")).await), replayed);
        place.put(&name, sealed(5, "50")).await;
        assert_eq!(store().content::<u32>(&id("file")).await.unwrap(), Some(50));
        // Under another name it is nothing older.
        let other = seal(&place.key, &names::content(&id("other")), 4, b"4").unwrap();
        place.put(&names::content(&id("other")), other).await;
        assert_eq!(store().content::<u32>(&id("other")).await.unwrap(), Some(4));
    }
}

#[tokio::test]
async fn what_replaces_is_later_than_what_it_replaces_whatever_the_clocks_say() {
    for place in Place::both() {
        let name = names::content(&id("file"));
        let far = 99_999_999_999;
        place.put(&name, seal(&place.key, &name, far, b"1").unwrap()).await;
        let store = place.store();
        assert_eq!(store.content::<u32>(&id("file")).await.unwrap(), Some(1));
        assert_eq!(store.put_content(&id("file"), &2).await.unwrap(), Put::New);
        assert_eq!(store.content::<u32>(&id("file")).await.unwrap(), Some(2));
        let sealed = place.get(&name).await.unwrap();
        assert_eq!(place.trust().verify(&name, &sealed).unwrap().time, far + 1);
        // In place of a replay, too.
        place.put(&name, seal(&place.key, &name, 3, b"3").unwrap()).await;
        assert_eq!(store.put_content(&id("file"), &3).await.unwrap(), Put::New);
        assert_eq!(store.content::<u32>(&id("file")).await.unwrap(), Some(3));
    }
}

#[tokio::test]
async fn what_was_never_signed_here_teaches_nothing() {
    let place = Place::memory();
    let name = names::content(&id("file"));
    place.foreign().put_content(&id("file"), &1).await.unwrap();
    let store = place.store();
    refusal(store.content::<u32>(&id("file")).await);
    place.put(&name, seal(&place.key, &name, 1, b"1").unwrap()).await;
    assert_eq!(store.content::<u32>(&id("file")).await.unwrap(), Some(1));
}
