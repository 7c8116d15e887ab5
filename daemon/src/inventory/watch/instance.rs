//! An inotify instance, and the thread that listens to it.

use std::{
    io::{self, PipeReader, PipeWriter},
    mem::MaybeUninit,
    os::fd::OwnedFd,
    path::Path,
    sync::Arc,
    thread,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::inotify::{self, CreateFlags, Event, Reader, WatchFlags},
    io::Errno,
};
use tracing::warn;

use super::limits;

/// Hears the events of an [`Instance`] on the instance's thread.
pub(super) trait Listener: Send + 'static {
    /// Takes in an event.
    fn hear(&mut self, event: &Event<'_>);

    /// How long to wait for an event before [`Self::silence`]; `None` to wait for ever.
    fn patience(&self) -> Option<&'static Timespec> {
        None
    }

    /// Takes in that no event came in that time.
    fn silence(&mut self) {}
}

/// Watches folders until it is dropped.
pub(super) struct Instance {
    inotify: Arc<OwnedFd>,
    /// Dropping it ends the listening thread.
    _listening: PipeWriter,
}

impl Instance {
    /// Begins to listen, with room for `buffer` bytes of events.
    ///
    /// # Errors
    /// A sentence for people, where the system has no instance left.
    pub(super) fn open(buffer: usize, mut listener: impl Listener) -> Result<Self, String> {
        let flags = CreateFlags::CLOEXEC | CreateFlags::NONBLOCK;
        let inotify = inotify::init(flags).map(Arc::new).map_err(limits::no_inotify)?;
        let pipe = io::pipe().map_err(|error| format!("cannot listen to inotify: {error}"));
        let (end, listening) = pipe?;
        let heard = inotify.clone();
        thread::spawn(move || {
            if let Err(error) = listen(heard, &end, buffer, &mut listener) {
                let error = io::Error::from(error);
                warn!("inotify: {error}; changes show at the next full scan");
            }
        });
        Ok(Self { inotify, _listening: listening })
    }

    /// Watches a folder, and returns the number of its watch: the same for the same folder under another path.
    pub(super) fn add(&self, folder: &Path, events: WatchFlags) -> Result<i32, Errno> {
        inotify::add_watch(&self.inotify, folder, events)
    }

    /// Ends a watch, which usually is gone together with its folder.
    pub(super) fn remove(&self, watch: i32) {
        let _ = inotify::remove_watch(&self.inotify, watch);
    }

    /// Tells whether the instance is still open.
    #[cfg(test)]
    pub(super) fn descriptor(&self) -> std::sync::Weak<OwnedFd> {
        Arc::downgrade(&self.inotify)
    }
}

/// Passes events on until the other end of `end` is closed. The listener outlives the instance, so that whoever sees
/// it go knows that nothing is watched any more.
fn listen(
    inotify: Arc<OwnedFd>,
    end: &PipeReader,
    buffer: usize,
    listener: &mut impl Listener,
) -> Result<(), Errno> {
    let mut buffer = vec![MaybeUninit::uninit(); buffer];
    let mut reader = Reader::new(&inotify, &mut buffer);
    loop {
        if reader.is_buffer_empty() {
            let mut both = [PollFd::new(&inotify, PollFlags::IN), PollFd::new(end, PollFlags::IN)];
            match poll(&mut both, listener.patience()) {
                Ok(0) => listener.silence(),
                Ok(_) if !both[1].revents().is_empty() => return Ok(()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        match reader.next() {
            Ok(event) => listener.hear(&event),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(error) => return Err(error),
        }
    }
}
