//! Watches whether anyone else changes the index.

use std::{mem::MaybeUninit, path::PathBuf, thread, time::Duration};

use rustix::{
    fs::inotify::{self, CreateFlags, Reader, WatchFlags},
    io::Errno,
};
use tracing::debug;

/// How often to check it where inotify is not available.
const POLL: Duration = Duration::from_secs(5);

/// The events of a changed file in a folder.
const EVENTS: WatchFlags = WatchFlags::CLOSE_WRITE
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);

/// Calls `touched` whenever the index in this folder may have been changed, as long as the program runs.
pub(crate) fn watch(data_dir: PathBuf, touched: impl Fn() + Send + 'static) {
    thread::spawn(move || {
        if let Err(error) = listen(&data_dir, &touched) {
            debug!("{} is looked at every few seconds: {error}", data_dir.display());
        }
        loop {
            thread::sleep(POLL);
            touched();
        }
    });
}

fn listen(data_dir: &PathBuf, touched: &impl Fn()) -> Result<(), Errno> {
    let inotify = inotify::init(CreateFlags::CLOEXEC)?;
    inotify::add_watch(&inotify, data_dir, EVENTS)?;
    // Changes from before.
    touched();
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut events = Reader::new(&inotify, &mut buffer);
    loop {
        let event = events.next()?;
        // Events of the folder itself, or an overflow, have no name.
        let is_it = event.file_name().is_none_or(|name| name.to_bytes() == b"index.json");
        if is_it {
            touched();
        }
        if event.events().contains(inotify::ReadFlags::IGNORED) {
            return Ok(());
        }
    }
}
