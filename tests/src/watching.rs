use std::{
    collections::BTreeMap,
    path::Path,
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use protocol::{Building, Checkpoint, Client, Event};

use crate::workplace::PATIENCE_S;

/// The daemon's state, kept up by its events.
pub struct Watching {
    events: Receiver<Event>,
    /// The entries of `list` by key.
    pub checkpoints: BTreeMap<String, Checkpoint>,
    /// The engine being built.
    pub building: Option<Building>,
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
        let mut watching = Self { events, checkpoints: BTreeMap::new(), building: None };
        watching.take_in("the whole state");
        watching
    }

    /// Takes events in until `reached`.
    ///
    /// # Panics
    /// When the events end, or nothing happens for minutes.
    pub fn until(&mut self, what: &str, reached: impl Fn(&Self) -> bool) {
        while !reached(self) {
            self.take_in(what);
        }
    }

    fn take_in(&mut self, awaited: &str) {
        let event = self.events.recv_timeout(Duration::from_secs(PATIENCE_S));
        match event.unwrap_or_else(|_| panic!("not reached: {awaited}: {:#?}", self.checkpoints)) {
            Event::State { status, checkpoints } => {
                self.building = status.building.into_iter().next();
                let keyed = checkpoints.into_iter().map(|c| (c.key().to_owned(), c));
                self.checkpoints = keyed.collect();
            }
            Event::Checkpoint(checkpoint) => {
                self.checkpoints.insert(checkpoint.key().to_owned(), checkpoint);
            }
            Event::Gone(key) => {
                self.checkpoints.remove(&key);
            }
            Event::Building(building) => self.building = building.into_iter().next(),
        }
    }

    /// The entry that lies at `path`.
    pub fn at(&self, path: &Path) -> Option<&Checkpoint> {
        let path = path.to_string_lossy();
        self.checkpoints.values().find(|c| c.locations.iter().any(|location| *location == path))
    }
}
