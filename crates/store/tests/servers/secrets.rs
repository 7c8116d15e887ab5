//! What opens a store stands nowhere.

use store::Limits;

use crate::{
    child::SECRET_KEY,
    common::{id, machine::Machine},
};

pub(crate) async fn are_never_told(base: &str) {
    let machine = Machine::new();
    let store = machine.store(base, &[], Limits::default());
    // s3s-fs makes the bucket; moto says that it is missing.
    let away = machine.store("s3://a-bucket-that-is-not-there/x", &[], Limits::default());
    let put = away.put_content(&id("file"), &"hash").await;
    let mut shown = format!("{store:?} {} {away:?} {put:?}", store.address());
    if let Err(error) = put {
        shown.push_str(&error.to_string());
    }
    assert!(!shown.contains(SECRET_KEY), "{shown}");
}
