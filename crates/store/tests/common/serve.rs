//! A server of HTTP/1.1 on a port of its own.

use std::{convert::Infallible, io, net::SocketAddr};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    Request, Response, StatusCode,
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

pub(crate) type Body = BoxBody<Bytes, io::Error>;

/// What a server does with a request; without an answer it hangs up.
pub(crate) trait Handler: Clone + Send + Sync + 'static {
    fn handle(&self, request: Request<Incoming>) -> impl Future<Output = Answer> + Send;
}

/// An answer, or an end.
pub(crate) type Answer = Result<Response<Body>, io::Error>;

/// Serves until its runtime ends.
pub(crate) async fn serve(handler: impl Handler) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let handler = handler.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let handler = handler.clone();
                    async move { handler.handle(request).await }
                });
                // A client that hangs up, and a fault that does, are part of the tests.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

pub(crate) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed()
}

/// The beginning of a body, then an end without the rest.
pub(crate) fn cut(bytes: Bytes) -> Body {
    let end = Err(io::Error::other("the connection is cut"));
    BodyExt::boxed(StreamBody::new(stream::iter([Ok(Frame::data(bytes)), end])))
}

/// The beginning of a body, then nothing.
pub(crate) fn stalled(bytes: Bytes) -> Body {
    let start = stream::iter([Ok(Frame::data(bytes))]);
    BodyExt::boxed(StreamBody::new(start.chain(stream::pending())))
}

/// An answer with all that an object store says of an object.
pub(crate) fn found(body: Body, length: usize, tag: &str) -> Answer {
    answer(
        Response::builder()
            .header("content-length", length)
            .header("etag", format!("\"{tag}\""))
            .header("last-modified", "Sun, 29 Nov 2026 09:00:00 GMT"),
        body,
    )
}

pub(crate) fn status(code: StatusCode) -> Answer {
    answer(Response::builder().status(code), whole(code.to_string()))
}

fn answer(builder: hyper::http::response::Builder, body: Body) -> Answer {
    builder.body(body).map_err(io::Error::other)
}
