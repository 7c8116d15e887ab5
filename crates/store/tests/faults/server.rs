//! Serves the world, with faults.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use hyper::{Method, Request, StatusCode, body::Incoming};

use crate::{
    common::{
        random::Random,
        serve::{Answer, Handler, cut, found, stalled, status, whole},
    },
    world::{Object, World},
};

/// What can happen to an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// The connection ends in the middle of the body.
    Cut,
    /// The connection ends without an answer.
    HangUp,
    /// 500, 503, 429, 403.
    Failure,
    /// The body stops in the middle, and the connection stays.
    Stall,
    /// There is no such object.
    Missing,
    /// One bit is another.
    Flip,
    /// The body is shorter, and says so itself.
    Short,
    /// More follows the body.
    Long,
    /// Another object of the same kind.
    Swap,
    /// What was signed before.
    Replay,
    /// What somebody else has signed.
    Foreign,
    /// The payload, without a signature.
    Unsigned,
    /// The signature of the truth over another payload.
    Graft,
    /// Random bytes.
    Noise,
    /// Packed zeros without end.
    Bomb,
}

impl Fault {
    pub(crate) const ALL: [Self; 15] = [
        Self::Cut,
        Self::HangUp,
        Self::Failure,
        Self::Stall,
        Self::Missing,
        Self::Flip,
        Self::Short,
        Self::Long,
        Self::Swap,
        Self::Replay,
        Self::Foreign,
        Self::Unsigned,
        Self::Graft,
        Self::Noise,
        Self::Bomb,
    ];
}

#[derive(Clone)]
pub(crate) struct Server {
    world: Arc<World>,
    bomb: Bytes,
    state: Arc<Mutex<State>>,
}

struct State {
    random: Random,
    on: bool,
    counts: BTreeMap<Fault, u64>,
}

impl Server {
    pub(crate) fn new(world: Arc<World>, seed: u64) -> Self {
        // A body that is small and unpacks to more than any limit of the test.
        let bomb = zstd::encode_all(io::repeat(0).take(64 << 20), 3).unwrap().into();
        let state = State { random: Random::new(seed), on: false, counts: BTreeMap::new() };
        Self { world, bomb, state: Arc::new(Mutex::new(state)) }
    }

    pub(crate) fn faults(&self, on: bool) {
        self.with(|state| state.on = on);
    }

    /// How often each happened.
    pub(crate) fn counts(&self) -> BTreeMap<Fault, u64> {
        self.with(|state| state.counts.clone())
    }

    fn with<T>(&self, do_it: impl FnOnce(&mut State) -> T) -> T {
        do_it(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What happens to this request, and a number that decides how.
    fn draw(&self, name: &str, object: &Object) -> Option<(Fault, u64)> {
        self.with(|state| {
            // Some answers are well, or no plan would ever be asked for.
            if !state.on || state.random.below(4) == 0 {
                return None;
            }
            let fault = *state.random.pick(&Fault::ALL);
            let is_blob = name.starts_with("blobs/");
            let happens = match fault {
                Fault::Replay => object.old.is_some(),
                Fault::Foreign => object.foreign.is_some(),
                Fault::Unsigned | Fault::Graft => !is_blob,
                _ => true,
            };
            if !happens {
                return None;
            }
            *state.counts.entry(fault).or_default() += 1;
            Some((fault, state.random.next()))
        })
    }

    fn answer(&self, name: &str, object: &Object, drawn: Option<(Fault, u64)>) -> Answer {
        let truth = object.truth.clone();
        let at = |number: u64| usize::try_from(number % truth.len() as u64).unwrap_or(0);
        let well = |bytes: Bytes| {
            let length = bytes.len();
            found(whole(bytes), length, name)
        };
        let Some((fault, number)) = drawn else { return well(truth) };
        match fault {
            Fault::Cut => found(cut(truth.slice(..at(number))), truth.len(), name),
            Fault::HangUp => Err(io::Error::other("hung up")),
            Fault::Failure => status(
                [
                    StatusCode::INTERNAL_SERVER_ERROR,
                    StatusCode::SERVICE_UNAVAILABLE,
                    StatusCode::TOO_MANY_REQUESTS,
                    StatusCode::FORBIDDEN,
                ][at(number) % 4],
            ),
            Fault::Stall => found(stalled(truth.slice(..at(number))), truth.len(), name),
            Fault::Missing => status(StatusCode::NOT_FOUND),
            Fault::Flip => {
                let mut bytes = truth.to_vec();
                bytes[at(number)] ^= 1 << ((number >> 32) % 8);
                well(bytes.into())
            }
            Fault::Short => well(truth.slice(..at(number))),
            Fault::Long => well([&truth[..], &truth[at(number)..]].concat().into()),
            Fault::Swap => well(self.other(name, number)),
            Fault::Replay => well(object.old.clone().unwrap_or(truth)),
            Fault::Foreign => well(object.foreign.clone().unwrap_or(truth)),
            Fault::Unsigned => well(halves(&truth)[1].clone()),
            Fault::Graft => {
                let other = object.foreign.clone().unwrap_or_else(|| self.other(name, number));
                well([&halves(&truth)[0][..], &halves(&other)[1]].concat().into())
            }
            Fault::Noise => well(Random::new(number).bytes(at(number)).into()),
            Fault::Bomb => well(self.bomb.clone()),
        }
    }

    /// The truth of another object of this kind.
    fn other(&self, name: &str, number: u64) -> Bytes {
        let kind = name.split_inclusive('/').next().unwrap_or(name);
        let others = self.world.objects.iter();
        let others: Vec<_> =
            others.filter(|(other, _)| other.starts_with(kind) && *other != name).collect();
        others[usize::try_from(number).unwrap_or(0) % others.len()].1.truth.clone()
    }
}

/// The signature, and what is signed.
fn halves(sealed: &Bytes) -> [Bytes; 2] {
    let ends = sealed.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let end = ends.map(|(at, _)| at + 1).nth(3).unwrap_or(0);
    [sealed.slice(..end), sealed.slice(end..)]
}

impl Handler for Server {
    async fn handle(&self, request: Request<Incoming>) -> Answer {
        let name = request.uri().path().trim_start_matches("/sdtrt/v1/");
        match self.world.objects.get(name) {
            Some(object) if [Method::GET, Method::HEAD].contains(request.method()) => {
                self.answer(name, object, self.draw(name, object))
            }
            _ => status(StatusCode::NOT_FOUND),
        }
    }
}
