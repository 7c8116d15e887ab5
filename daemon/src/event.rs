//! The events of the loop.

use checkpoint::Id;
use engine::{Progress, Runtime};
use protocol::{Failure, Reply, Request, Verdict};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::{
    api::{self, Line},
    gate::{Found, Sample, Sampler},
    inventory,
    jobs::{Done, RuntimeProblem},
    sharing::PulledPlan,
};

/// An event.
pub(crate) enum Event {
    /// News of files.
    Files(inventory::FileEvent),
    /// The search for the libraries has ended; it may have been a client's request.
    Runtime(Result<Runtime, RuntimeProblem>, Option<oneshot::Sender<Reply>>),
    /// The GPUs were listed.
    Gpus(Found),
    /// The machine's use was sampled.
    Sampled(Box<dyn Sampler>, Sample),
    /// It was looked at whether the machine draws from a battery; `None` if it has none.
    Power(Option<bool>),
    /// A job has made progress.
    Progress(Id, Progress),
    /// A job has ended.
    Ended(Id, Result<Done, crate::jobs::Failure>),
    /// Every engine was compared with its manifest; of the others the manifests were not understood.
    Verified(Vec<Checked>, Vec<Verdict>, oneshot::Sender<Reply>),
    /// An engine was taken from a store on a client's request; it waits to hear whether it could be published.
    Pulled(Box<PulledPlan>, oneshot::Sender<Result<(), String>>),
    /// The store answers, or does so no more, or something came from it.
    Shared,
    /// A client's request.
    Ask(Request, oneshot::Sender<Reply>),
    /// A client subscribes.
    Watch(oneshot::Sender<(Line, broadcast::Receiver<Line>)>),
    /// The cache could not be written.
    Unsaved,
    /// Someone may have changed the index.
    IndexTouched,
    /// The configuration is to be reloaded.
    Reload,
    /// A deadline has passed.
    Tick,
    /// The daemon is to stop.
    Stop,
}

/// An engine that was compared with its manifest.
pub(crate) struct Checked {
    pub(crate) engine: Id,
    /// Its plan does not match the manifest.
    pub(crate) damaged: bool,
    pub(crate) verdict: Verdict,
}

/// Sends events to the loop.
#[derive(Clone)]
pub(crate) struct Mailbox(pub(crate) mpsc::UnboundedSender<Event>);

impl Mailbox {
    /// Sends an event; it is lost if the loop has ended, which does not matter.
    pub(crate) fn send(&self, event: Event) {
        let _ = self.0.send(event);
    }
}

impl api::Service for Mailbox {
    async fn ask(&self, request: Request) -> Reply {
        let (reply, answer) = oneshot::channel();
        self.send(Event::Ask(request, reply));
        answer.await.unwrap_or_else(|_| {
            Reply::Failed(Failure::Other { message: "sdtrtd is stopping".to_owned() })
        })
    }

    async fn watch(&self) -> (Line, broadcast::Receiver<Line>) {
        let (reply, answer) = oneshot::channel();
        self.send(Event::Watch(reply));
        match answer.await {
            Ok(watching) => watching,
            // The connection ends with the daemon.
            Err(_) => std::future::pending().await,
        }
    }
}
