use std::path::PathBuf;

use protocol::Reply;
use tokio::{sync::oneshot, task::spawn_blocking};

use crate::{
    event::Event,
    inventory::{self, Hint, verify},
    owners::Owners,
};

impl Owners {
    /// Reads every checkpoint as a whole, and has those that are not what they were known as taken in anew.
    pub(super) fn verify_checkpoints(&self, reply: oneshot::Sender<Reply>) {
        let files = self.inventory.catalogue().identified();
        let (store, mailbox) = (self.store.clone(), self.mailbox.clone());
        spawn_blocking(move || {
            let changed = |path: PathBuf| {
                let event = inventory::FileEvent::Hint(path.as_path().into(), Hint::Written(path));
                mailbox.send(Event::Files(event));
            };
            let _ = reply.send(Reply::VerifiedCheckpoints(verify(files, &*store, changed)));
        });
    }
}
