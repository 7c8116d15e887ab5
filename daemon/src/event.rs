//! What reaches the loop.

use checkpoint::Id;
use engine::{Progress, Runtime};
use protocol::{Failure, Reply, Request, Verdict};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::{
    api::{self, Line},
    gate::{Found, Sample, Sampler},
    inventory,
    jobs::{Done, RuntimeProblem},
};

/// What has happened.
pub(crate) enum Event {
    /// Something is heard of files.
    Files(inventory::Event),
    /// The libraries were looked for, on behalf of a client or not.
    Runtime(Result<Runtime, RuntimeProblem>, Option<oneshot::Sender<Reply>>),
    /// The GPUs were listed.
    Gpus(Found),
    /// The machine was looked at.
    Sampled(Box<dyn Sampler>, Sample),
    /// This job goes on.
    Progress(Id, Progress),
    /// This job has ended.
    Ended(Id, Result<Done, crate::jobs::Failure>),
    /// Every engine was compared with its manifest; of the others the manifests were not understood.
    Verified(Vec<Checked>, Vec<Verdict>, oneshot::Sender<Reply>),
    /// A client asks.
    Ask(Request, oneshot::Sender<Reply>),
    /// A client wants to watch.
    Watch(oneshot::Sender<(Line, broadcast::Receiver<Line>)>),
    /// What was learned could not be written down.
    Unsaved,
    /// Something was done to the index.
    IndexTouched,
    /// The configuration is to be read again.
    Reload,
    /// Some time has passed.
    Tick,
    /// It is over.
    Stop,
}

/// An engine that was compared with its manifest.
pub(crate) struct Checked {
    pub(crate) engine: Id,
    /// Its plan is not what the manifest says.
    pub(crate) damaged: bool,
    pub(crate) verdict: Verdict,
}

/// Sends to the loop.
#[derive(Clone)]
pub(crate) struct Mailbox(pub(crate) mpsc::UnboundedSender<Event>);

impl Mailbox {
    /// An event for a loop that has ended is lost, which is as well.
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
