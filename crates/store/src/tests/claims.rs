use std::{collections::BTreeSet, io};

use object_store::{Error, PutMode};
use rustix::io::Errno;

use super::{odd::Odd, *};
use crate::{Claim, names};

/// A folder whose file system knows no hard links.
pub(super) fn without_links(files: LocalFileSystem) -> Arc<dyn ObjectStore> {
    let mut odd = Odd::over(Arc::new(files));
    odd.before_put = Box::new(|_, mode| {
        let source = Box::new(io::Error::from(Errno::PERM));
        (*mode == PutMode::Create).then_some(Error::Generic { store: "Odd", source })
    });
    Arc::new(odd)
}

fn folder_without_links() -> Place {
    let reach = |place: &Place| Reach::Folder(place.root(), without_links);
    Place { reach, ..Place::folder() }
}

/// What as many as 16 get that claim at once.
async fn at_once(place: &Place, past: Option<u32>) -> Vec<Claim> {
    let claiming: Vec<_> = (0..16)
        .map(|number| {
            let store = place.store();
            let who = format!("machine {number}");
            tokio::spawn(async move { store.claim(&id("file"), &who, past).await.unwrap() })
        })
        .collect();
    let mut claims = Vec::new();
    for claim in claiming {
        claims.push(claim.await.unwrap());
    }
    claims
}

fn ours(claims: &[Claim]) -> Vec<Claim> {
    claims.iter().copied().filter(|claim| matches!(claim, Claim::Ours(_))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_several_at_once_one_has_it_and_one_takes_it_over() {
    let [memory, folder] = Place::both();
    for place in [memory, folder, folder_without_links()] {
        let first = at_once(&place, None).await;
        assert_eq!(ours(&first), [Claim::Ours(0)], "{first:?}");
        let others: BTreeSet<u32> = first
            .iter()
            .filter_map(|claim| match claim {
                Claim::Theirs(number) => Some(*number),
                Claim::Ours(_) => None,
            })
            .collect();
        assert_eq!(others, [0].into());
        let second = at_once(&place, Some(0)).await;
        assert_eq!(ours(&second), [Claim::Ours(1)], "{second:?}");
        // Who knows of none yet hears of the newest.
        let store = place.store();
        assert_eq!(store.claim(&id("file"), "new", None).await.unwrap(), Claim::Theirs(1));
        assert_eq!(store.claim(&id("file"), "new", Some(0)).await.unwrap(), Claim::Theirs(1));
        assert_eq!(store.claim(&id("file"), "new", Some(1)).await.unwrap(), Claim::Ours(2));
    }
}

#[tokio::test]
async fn released_it_is_free_and_other_files_are_left_alone() {
    for place in Place::both() {
        let store = place.store();
        for (past, ours) in [(None, 0), (Some(0), 1), (Some(1), 2)] {
            assert_eq!(store.claim(&id("file"), "us", past).await.unwrap(), Claim::Ours(ours));
        }
        store.claim(&id("other"), "us", None).await.unwrap();
        store.release(&id("file")).await.unwrap();
        store.release(&id("file")).await.unwrap();
        assert_eq!(store.claim(&id("file"), "us", None).await.unwrap(), Claim::Ours(0));
        assert_eq!(store.claim(&id("other"), "us", None).await.unwrap(), Claim::Theirs(0));
        // Nothing is left: no file that was written to look again, and no empty folder.
        let contents = place.root().join("v1/contents");
        assert!(!contents.exists() || names_in(&contents).is_empty());
        let folder = place.root().join("v1").join(names::claims(&id("file")));
        store.release(&id("file")).await.unwrap();
        assert!(!folder.exists());
    }
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_known_as_ours() {
    let mut odd = Odd::over(Arc::new(InMemory::new()));
    // The client has repeated the request, and met its own first one.
    odd.after_put = Box::new(|path| {
        let path = path.to_string();
        Some(Error::AlreadyExists { path, source: "there it is".into() })
    });
    let place = Place::of(Arc::new(odd));
    let store = place.store();
    assert_eq!(store.claim(&id("file"), "us", None).await.unwrap(), Claim::Ours(0));
    assert_eq!(store.claim(&id("file"), "us", None).await.unwrap(), Claim::Theirs(0));
}

#[tokio::test]
async fn where_nothing_can_be_created_alone_there_are_no_claims() {
    let mut odd = Odd::over(Arc::new(InMemory::new()));
    odd.before_put = Box::new(|_, mode| {
        let source = "501 Not Implemented".into();
        (*mode == PutMode::Create).then_some(Error::Generic { store: "Odd", source })
    });
    let place = Place::of(Arc::new(odd));
    is_away(place.store().claim(&id("file"), "us", None).await, "501");
    // What is sealed is written all the same.
    place.store().put_content(&id("file"), &1).await.unwrap();
    assert_eq!(place.store().content(&id("file")).await.unwrap(), Some(1));
}

#[tokio::test]
async fn without_links_what_is_sealed_is_renamed_into_its_place() {
    let place = folder_without_links();
    let store = place.store();
    let (manifest, plan) = engine("one");
    store.put_engine(&manifest, &place.file("plan", &plan)).await.unwrap();
    let engine = store.engine(&manifest.key).await.unwrap().unwrap();
    store.fetch_plan(&engine, &place.at("fetched")).await.unwrap();
    store.put_engine(&manifest, &place.at("plan")).await.unwrap();
}
