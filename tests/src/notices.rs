use std::{
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use crate::workplace::PATIENCE_S;

/// Ends the listening thread.
const END: &[u8] = b"END";

/// The daemon's notifications to its service manager. They are read at once, as by systemd: a full socket
/// would block the daemon.
pub(crate) struct Notices {
    pub(crate) path: PathBuf,
    heard: Receiver<String>,
    kept: Vec<String>,
}

impl Notices {
    /// Listens at `path`, where an earlier daemon's socket may be.
    pub(crate) fn listen(path: &Path) -> Self {
        let _ = std::fs::remove_file(path);
        let socket = UnixDatagram::bind(path).unwrap();
        let (sender, heard) = mpsc::channel();
        thread::spawn(move || {
            let mut message = [0; 4096];
            while let Ok(length) = socket.recv(&mut message) {
                if &message[..length] == END {
                    return;
                }
                let message = String::from_utf8_lossy(&message[..length]);
                let _ = sender.send(message.trim_end().to_owned());
            }
        });
        Self { path: path.to_owned(), heard, kept: Vec::new() }
    }

    /// Returns the next message that starts with `beginning`; others are kept for later calls.
    pub(crate) fn until(&mut self, beginning: &str) -> String {
        let end = Instant::now() + Duration::from_secs(PATIENCE_S);
        loop {
            if let Some(first) = self.kept.iter().position(|kept| kept.starts_with(beginning)) {
                return self.kept.remove(first);
            }
            let left = end.saturating_duration_since(Instant::now());
            match self.heard.recv_timeout(left) {
                Ok(message) => self.kept.push(message),
                Err(_) => panic!("no {beginning} among {:?}; see sdtrtd.log", self.kept),
            }
        }
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        let end = UnixDatagram::unbound().and_then(|socket| socket.send_to(END, &self.path));
        // The test's folder, and the socket in it, may be deleted already.
        let _ = end;
    }
}
