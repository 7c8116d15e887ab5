use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use checkpoint::Id;
use engine::{Progress, Runtime};
use protocol::{Failure, Reply, Request, Verdict};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::api;
use crate::{
    api::Line,
    build::{Done, RuntimeProblem},
    gate::{Sample, sampler::Sampler},
    inventory::{FileId, Hint, Notifier, Outcome, Scan, Stamp},
};

/// What reaches the actor.
pub(crate) enum Message {
    /// It is time to look.
    Hint(Hint),
    /// A full scan found these files.
    Found(Vec<(PathBuf, Stamp)>),
    /// A full scan is done.
    Scanned(Scan),
    /// Some files were looked at because something was done to them.
    Looked(Vec<(PathBuf, Option<Stamp>)>),
    /// The time of these files to settle is up, and those are open for writing.
    Settled(Vec<Stamp>, HashSet<FileId>),
    /// Some files were read.
    Read(Vec<Learned>),
    /// The libraries were looked for, on behalf of a client or not.
    Runtime(Result<Runtime, RuntimeProblem>, Option<oneshot::Sender<Reply>>),
    /// The machine was looked at.
    Sampled(Box<dyn Sampler>, Sample),
    /// This job goes on.
    Progress(Id, Progress),
    /// This job has ended.
    Ended(Id, Result<Done, crate::build::Failure>),
    /// Every engine was compared with its manifest.
    Verified(Vec<Checked>, oneshot::Sender<Reply>),
    /// A client asks.
    Ask(Request, oneshot::Sender<Reply>),
    /// A client wants to watch.
    Watch(oneshot::Sender<(Line, broadcast::Receiver<Line>)>),
    /// The configuration is to be read again.
    Reload,
    /// Some time has passed.
    Tick,
    /// It is over.
    Stop,
}

/// A file that was read.
pub(crate) struct Learned {
    pub(crate) path: Arc<Path>,
    pub(crate) stamp: Stamp,
    /// `None` if it changed before it was read whole.
    pub(crate) outcome: Option<Outcome>,
}

/// An engine that was compared with its manifest.
pub(crate) struct Checked {
    pub(crate) engine: Id,
    /// Its plan is not what the manifest says.
    pub(crate) damaged: bool,
    pub(crate) verdict: Verdict,
}

/// Sends to the actor.
#[derive(Clone)]
pub(crate) struct Mailbox(pub(crate) mpsc::UnboundedSender<Message>);

impl Mailbox {
    /// Has hints of a new notifier sent to the actor.
    pub(crate) fn notifier(&self) -> Arc<Mutex<Notifier>> {
        let mailbox = self.clone();
        Arc::new(Mutex::new(Notifier::new(move |hint| mailbox.send(Message::Hint(hint)))))
    }

    /// A message to an actor that has stopped is lost, which is as well.
    pub(crate) fn send(&self, message: Message) {
        let _ = self.0.send(message);
    }
}

impl api::Service for Mailbox {
    async fn ask(&self, request: Request) -> Reply {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Ask(request, reply));
        answer.await.unwrap_or_else(|_| {
            Reply::Failed(Failure::Other { message: "sdtrtd is stopping".to_owned() })
        })
    }

    async fn watch(&self) -> (Line, broadcast::Receiver<Line>) {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Watch(reply));
        match answer.await {
            Ok(watching) => watching,
            // The connection ends with the daemon.
            Err(_) => std::future::pending().await,
        }
    }
}
