//! What subscribers receive.

use config::BuildWhen;
use protocol::{Overview, Request, Status};
use tokio::sync::{
    broadcast::{Receiver, error::TryRecvError},
    oneshot,
};

use crate::{
    api::Line,
    event::Event,
    scenarios::stage::{Stage, WINDOW_S, busy},
};

struct Watcher {
    overview: Overview,
    changes: Receiver<Line>,
}

impl Watcher {
    fn new(stage: &mut Stage) -> Self {
        let (reply, mut answer) = oneshot::channel();
        stage.owners.step(Event::Watch(reply));
        let (state, changes) = answer.try_recv().unwrap();
        let mut overview = Overview::default();
        overview.apply(serde_json::from_slice(&state).unwrap());
        Self { overview, changes }
    }

    /// The status after all events so far.
    fn status(&mut self) -> Status {
        loop {
            match self.changes.try_recv() {
                Ok(line) => self.overview.apply(serde_json::from_slice(&line).unwrap()),
                Err(TryRecvError::Empty) => break,
                Err(error) => panic!("{error}"),
            }
        }
        timeless(self.overview.status.as_deref().unwrap().clone())
    }
}

/// Removes what changes with time alone.
fn timeless(mut status: Status) -> Status {
    status.daemon.uptime_s = 0;
    status.building.iter_mut().for_each(|job| job.elapsed_s = 0);
    status
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_knows_everything_in_the_status() {
    let mut stage = Stage::new(1, BuildWhen::Idle, &["a.safetensors"]).await;
    let mut first = Watcher::new(&mut stage);
    let mut seen = Vec::new();
    let mut agree = |stage: &mut Stage, others: &mut [&mut Watcher]| {
        stage.refresh();
        let shown = timeless(stage.owners.status());
        for watcher in others {
            assert_eq!(watcher.status(), shown);
        }
        seen.push(shown);
    };
    agree(&mut stage, &mut [&mut first]);
    stage.look_for(1.0, &busy(87, None)).await;
    agree(&mut stage, &mut [&mut first]);
    let mut second = Watcher::new(&mut stage);
    stage.ask(Request::Pause { seconds: None });
    agree(&mut stage, &mut [&mut first, &mut second]);
    stage.ask(Request::Resume);
    // It has not received its first message yet.
    let mut third = Watcher::new(&mut stage);
    agree(&mut stage, &mut [&mut first, &mut second, &mut third]);
    stage.look_for(WINDOW_S + 1.0, &busy(2, None)).await;
    agree(&mut stage, &mut [&mut first, &mut second, &mut third]);
    stage.end_build();
    agree(&mut stage, &mut [&mut first, &mut second, &mut third]);
    // Each message was a change.
    seen.dedup();
    assert_eq!(seen.len(), 6);
}
