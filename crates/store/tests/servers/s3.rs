//! An S3 server over a folder, with faults if they are switched on.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{Method, Request, Response, StatusCode, body::Incoming};
use s3s::{
    auth::SimpleAuth,
    service::{S3Service, S3ServiceBuilder},
};
use s3s_fs::FileSystem;

use crate::{
    child,
    common::{
        random::Random,
        serve::{Answer, Body, Handler, cut, stalled, status, whole},
    },
};

/// What can happen to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// 503 instead of doing it.
    Failure,
    /// The connection ends instead.
    HangUp,
    /// It is done, and the connection ends without an answer.
    LostAnswer,
    /// It is done, and the answer is 500.
    DoneAndFailed,
    /// The connection ends in the middle of the answer.
    Cut,
    /// The answer stops in its middle, and the connection stays.
    Stall,
    /// One bit of the answer is another.
    Flip,
    /// The answer is that to the same question some time ago.
    Stale,
}

const FAULTS: [Fault; 8] = [
    Fault::Failure,
    Fault::HangUp,
    Fault::LostAnswer,
    Fault::DoneAndFailed,
    Fault::Cut,
    Fault::Stall,
    Fault::Flip,
    Fault::Stale,
];

#[derive(Clone)]
pub(crate) struct Faulty {
    s3: S3Service,
    /// s3s-fs looks whether an object is there, and then writes it: two that create one at once both succeed.
    writing: Arc<tokio::sync::Mutex<()>>,
    state: Arc<Mutex<State>>,
}

struct State {
    random: Random,
    on: bool,
    counts: BTreeMap<String, u64>,
    /// Earlier answers to readers, by their question.
    earlier: BTreeMap<String, Response<Bytes>>,
}

impl Faulty {
    /// Over this folder.
    pub(crate) fn new(folder: &Path, seed: u64) -> Self {
        std::fs::create_dir(folder.join(child::BUCKET)).unwrap();
        let mut builder = S3ServiceBuilder::new(FileSystem::new(folder).unwrap());
        builder.set_auth(SimpleAuth::from_single(child::ACCESS_KEY, child::SECRET_KEY));
        let state = State {
            random: Random::new(seed),
            on: false,
            counts: BTreeMap::new(),
            earlier: BTreeMap::new(),
        };
        let writing = Arc::default();
        Self { s3: builder.build(), writing, state: Arc::new(Mutex::new(state)) }
    }

    fn with<T>(&self, do_it: impl FnOnce(&mut State) -> T) -> T {
        do_it(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn draw(&self, is_read: bool) -> Option<(Fault, u64)> {
        self.with(|state| {
            if !state.on || state.random.below(2) == 0 {
                return None;
            }
            let fault = *state.random.pick(&FAULTS);
            let needs_read = [Fault::Cut, Fault::Stall, Fault::Flip, Fault::Stale];
            if needs_read.contains(&fault) && !is_read {
                return None;
            }
            *state.counts.entry(format!("{fault:?}")).or_default() += 1;
            Some((fault, state.random.next()))
        })
    }

    async fn done(&self, request: Request<Bytes>) -> Result<Response<Bytes>, io::Error> {
        let is_read = [Method::GET, Method::HEAD].contains(request.method());
        let _writing = if is_read { None } else { Some(self.writing.lock().await) };
        let answer = self.s3.call(request.map(s3s::Body::from)).await.map_err(io::Error::other)?;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        Ok(Response::from_parts(parts, body))
    }

    /// What the tests' own process says.
    fn told(&self, path: &str) -> Answer {
        let said = self.with(|state| {
            match path {
                "/-/on" => state.on = true,
                "/-/off" => state.on = false,
                _ => {}
            }
            format!("{:?}", state.counts)
        });
        Response::builder().body(whole(said)).map_err(io::Error::other)
    }
}

impl Handler for Faulty {
    async fn handle(&self, request: Request<Incoming>) -> Answer {
        let path = request.uri().path().to_owned();
        if path.starts_with("/-/") {
            return self.told(&path);
        }
        let is_read = request.method() == Method::GET;
        let question = request.uri().to_string();
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let drawn = self.draw(is_read);
        match drawn {
            Some((Fault::Failure, _)) => return status(StatusCode::SERVICE_UNAVAILABLE),
            Some((Fault::HangUp, _)) => return Err(io::Error::other("hung up")),
            _ => {}
        }
        let answer = self.done(Request::from_parts(parts, body)).await?;
        let earlier = self.with(|state| {
            let earlier = state.earlier.get(&question).cloned();
            // Of many, some become what is answered later.
            if is_read && (earlier.is_none() || state.random.below(8) == 0) {
                state.earlier.insert(question, answer.clone());
            }
            earlier
        });
        let Some((fault, number)) = drawn else { return Ok(answer.map(whole)) };
        let length = answer.body().len();
        let at = usize::try_from(number).unwrap_or(0) % length.max(1);
        let with = |body: &dyn Fn(Bytes) -> Body| {
            let (mut parts, bytes) = answer.clone().into_parts();
            parts.headers.insert("content-length", length.into());
            Ok(Response::from_parts(parts, body(bytes)))
        };
        match fault {
            Fault::LostAnswer => Err(io::Error::other("the answer is lost")),
            Fault::DoneAndFailed => status(StatusCode::INTERNAL_SERVER_ERROR),
            Fault::Cut if length > 0 => with(&|bytes| cut(bytes.slice(..at))),
            Fault::Stall if length > 0 => with(&|bytes| stalled(bytes.slice(..at))),
            Fault::Flip if length > 0 => with(&|bytes| {
                let mut bytes = bytes.to_vec();
                bytes[at] ^= 1 << ((number >> 40) % 8);
                whole(bytes)
            }),
            Fault::Stale => Ok(earlier.unwrap_or(answer).map(whole)),
            _ => Ok(answer.map(whole)),
        }
    }
}
