//! Stores on real S3 servers: s3s-fs, with faults too, and moto as a second opinion; and in a folder.

#![allow(clippy::unwrap_used, reason = "a test stops where its surroundings fail")]

mod child;
#[path = "../common/mod.rs"]
mod common;
mod faulty;
mod moto;
mod s3;
mod secrets;
mod ways;
mod web;

use common::serve::serve;
use s3::Faulty;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_is_a_store() {
    let folder = tempfile::tempdir().unwrap();
    for store in ways::STORES {
        std::fs::create_dir(folder.path().join(store)).unwrap();
    }
    ways::all(&format!("file://{}", folder.path().display())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_of_s3s_is_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let port = serve(Faulty::new(folder.path(), 0)).await.port();
    child::run("a_bucket_is_a_store", port).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_of_moto_is_a_store() {
    let Some(moto) = moto::Moto::start().await else {
        println!("skipped: moto_server is not installed; `cargo xtask setup` brings it");
        return;
    };
    child::run("a_bucket_is_a_store", moto.port).await;
}

/// With the server that the environment names.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_is_a_store() {
    let Some(store) = child::store() else { return };
    ways::all(&store).await;
    secrets::are_never_told(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_fails_at_half_of_what_it_is_asked_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let port = serve(Faulty::new(folder.path(), 28)).await.port();
    child::run("a_bucket_that_fails_loses_nothing", port).await;
}

/// With the server that the environment names.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_fails_loses_nothing() {
    let Some(store) = child::store() else { return };
    faulty::run(&store).await;
}
