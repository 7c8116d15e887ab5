//! A web server that wants a signature in the address of each file.

use hyper::{Request, StatusCode, body::Incoming};
use store::{Limits, StoreError};

use crate::common::{
    id,
    machine::Machine,
    serve::{Answer, Handler, serve, status},
};

const QUERY: &str = "sig=SECRET";

/// It has nothing, and says so only to whoever signs.
#[derive(Clone)]
struct Signed;

impl Handler for Signed {
    async fn handle(&self, request: Request<Incoming>) -> Answer {
        let is_signed = request.uri().query() == Some(QUERY);
        status(if is_signed { StatusCode::NOT_FOUND } else { StatusCode::FORBIDDEN })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_query_of_an_address_goes_with_each_request_and_is_told_nowhere() {
    let base = format!("http://{}/x", serve(Signed).await);
    let machine = Machine::new();
    let unsigned = machine.store(&base, &[], Limits::default());
    let refused = unsigned.engine(&id("engine")).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Away { reason } if reason.contains("403")), "{refused}");
    let signed = machine.store(&format!("{base}?{QUERY}"), &[], Limits::default());
    assert_eq!(signed.engine(&id("engine")).await.unwrap(), None);
    signed.probe().await.unwrap();
    let listed = signed.list().await;
    let shown = format!("{signed:?} {} {listed:?}", signed.address());
    assert!(!shown.contains("SECRET"), "{shown}");
}
