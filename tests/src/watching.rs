use std::{
    collections::BTreeMap,
    path::Path,
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use protocol::{Building, Checkpoint, Client, EntryKey, Event, Overview, Status};

use crate::workplace::PATIENCE_S;

/// The daemon's state, kept up to date by its events.
pub struct Watching {
    events: Receiver<Event>,
    overview: Overview,
}

impl Watching {
    pub(crate) fn new(socket: &Path) -> Self {
        let (sender, events) = mpsc::channel();
        let watch = Client::connect(socket).unwrap().watch().unwrap();
        thread::spawn(move || {
            for event in watch.map_while(Result::ok) {
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        let mut watching = Self { events, overview: Overview::default() };
        watching.take_in("the whole state");
        watching
    }

    /// Applies events until `reached`.
    ///
    /// # Panics
    /// If the events end, nothing happens for minutes, or it is not reached whatever happens.
    pub fn until(&mut self, what: &str, reached: impl Fn(&Self) -> bool) {
        let end = Instant::now() + 4 * Duration::from_secs(PATIENCE_S);
        while !reached(self) {
            assert!(Instant::now() < end, "not reached: {what}: {:#?}", self.overview);
            self.take_in(what);
        }
    }

    fn take_in(&mut self, awaited: &str) {
        let event = self.events.recv_timeout(Duration::from_secs(PATIENCE_S));
        let event =
            event.unwrap_or_else(|_| panic!("not reached: {awaited}: {:#?}", self.overview));
        self.overview.apply(event);
    }

    /// The entries of `list` by key.
    pub fn checkpoints(&self) -> &BTreeMap<EntryKey, Checkpoint> {
        &self.overview.checkpoints
    }

    /// What `status` shows.
    pub fn status(&self) -> &Status {
        self.overview.status.as_ref().unwrap()
    }

    /// The first running job.
    pub fn building(&self) -> Option<&Building> {
        self.overview.building().first()
    }

    /// The entry with a location at `path`.
    pub fn at(&self, path: &Path) -> Option<&Checkpoint> {
        let path = path.to_string_lossy();
        self.checkpoints().values().find(|c| c.locations.iter().any(|location| *location == path))
    }
}
