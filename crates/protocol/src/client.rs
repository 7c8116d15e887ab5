use std::{
    io::{self, BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

use crate::{Address, Event, Failure, Hello, Question, Reply, Request, VERSION};

/// Time for the daemon's hello.
const GREETING: Duration = Duration::from_secs(10);

/// Time for an ordinary reply; a daemon that is busy with thousands of files takes a second.
const ANSWER: Duration = Duration::from_secs(60);

/// A connection to the daemon.
pub struct Client {
    lines: BufReader<UnixStream>,
}

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// Nothing listens there.
    #[error(
        "no sdtrtd is listening on {socket} ({source}); start it with `systemctl --user start sdtrtd`, \
         without `--user` for the system's, or directly with `sdtrtd --models-dir DIR`"
    )]
    NoDaemon {
        /// The socket tried.
        socket: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The socket belongs to another user.
    #[error(
        "permission denied on {socket}; add yourself to the group sdtrt with \
         `sudo adduser $USER sdtrt`, and log in again"
    )]
    Forbidden {
        /// The socket tried.
        socket: PathBuf,
    },
    /// Something listens but sends nothing: systemd, if the daemon doesn't start.
    #[error(
        "sdtrtd does not respond on {socket}: it can't start, hangs, or its machine is very busy; \
         see `systemctl --user status sdtrtd`, without `--user` for the system's"
    )]
    Silent {
        /// The socket tried.
        socket: PathBuf,
    },
    /// The daemon uses another protocol.
    #[error(
        "sdtrtd {daemon_version} uses protocol {theirs}, but this program {VERSION}; \
         install both from the same release and restart sdtrtd"
    )]
    VersionMismatch {
        /// Version of the daemon's program.
        daemon_version: String,
        /// Version of its protocol.
        theirs: u32,
    },
    /// Something other than sdtrtd listens there.
    #[error("the program listening on {socket} is not sdtrtd: {source}")]
    NotSdtrtd {
        /// The socket tried.
        socket: PathBuf,
        /// What was wrong with its first line.
        source: io::Error,
    },
}

/// Why a question got no answer.
#[derive(Debug, Error)]
pub enum AskError {
    /// No complete reply arrived.
    #[error("lost the connection to sdtrtd")]
    Connection(#[from] io::Error),
    /// The daemon could not do it.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The reply answers another question.
    #[error("unexpected reply '{0}' from sdtrtd; please report this bug")]
    OtherAnswer(String),
}

impl Client {
    /// Connects and exchanges [`Hello`]s.
    ///
    /// # Errors
    /// If nothing listens, or what listens does not use this protocol.
    pub fn connect(socket: &Path) -> Result<Self, ConnectError> {
        let address = Address::of(socket);
        let stream = address.and_then(|address| UnixStream::connect(address.path()));
        let stream = stream.map_err(|source| {
            let socket = socket.to_owned();
            match source.kind() {
                io::ErrorKind::PermissionDenied => ConnectError::Forbidden { socket },
                _ => ConnectError::NoDaemon { socket, source },
            }
        })?;
        let mut client = Self { lines: BufReader::new(stream) };
        let wrong = |source: io::Error| {
            let socket = socket.to_owned();
            match source.kind() {
                io::ErrorKind::TimedOut => ConnectError::Silent { socket },
                _ => ConnectError::NotSdtrtd { socket, source },
            }
        };
        client.give(Some(GREETING)).map_err(wrong)?;
        let hello = Hello { protocol: VERSION, version: env!("CARGO_PKG_VERSION").to_owned() };
        // A daemon that refuses this version still sends its own hello before it hangs up.
        let sent = client.send(&hello);
        let theirs: Hello = client
            .receive()
            .and_then(|theirs| theirs.ok_or_else(|| io::ErrorKind::UnexpectedEof.into()))
            .map_err(wrong)?;
        if theirs.protocol != VERSION {
            return Err(ConnectError::VersionMismatch {
                daemon_version: theirs.version,
                theirs: theirs.protocol,
            });
        }
        sent.map_err(wrong)?;
        Ok(client)
    }

    /// Asks a question and waits for its answer.
    ///
    /// # Errors
    /// If the connection breaks, no reply arrives in time, or the daemon can't do what was requested.
    pub fn ask<Answer>(&mut self, question: Question<Answer>) -> Result<Answer, AskError> {
        let Question { request, answer } = question;
        match self.exchange(&request)? {
            Reply::Failed(failure) => Err(failure.into()),
            reply => answer(reply).map_err(AskError::OtherAnswer),
        }
    }

    /// Sends one request and waits for its reply, of whatever kind.
    fn exchange(&mut self, request: &Request) -> io::Result<Reply> {
        self.give(time_for(request))?;
        self.send(request)?;
        self.receive()?.ok_or_else(|| {
            io::Error::new(io::ErrorKind::UnexpectedEof, "sdtrtd stopped before replying")
        })
    }

    /// Requests events; they end when the daemon stops or drops a watcher that is too slow.
    ///
    /// # Errors
    /// If the connection breaks.
    pub fn watch(mut self) -> io::Result<Events> {
        self.give(None)?;
        self.send(&Request::Watch)?;
        Ok(Events(self))
    }

    /// How long the daemon may take over its next line.
    fn give(&self, time: Option<Duration>) -> io::Result<()> {
        self.lines.get_ref().set_read_timeout(time)
    }

    fn send(&mut self, message: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.lines.get_mut().write_all(&line)
    }

    fn receive<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let mut line = String::new();
        let read = self.lines.read_line(&mut line).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => io::Error::new(
                io::ErrorKind::TimedOut,
                "sdtrtd does not respond: it hangs, or its machine is very busy",
            ),
            _ => error,
        });
        match read? {
            0 => Ok(None),
            _ => Ok(Some(serde_json::from_str(&line)?)),
        }
    }
}

/// `None` means no limit: every engine or folder may have to be read, or a GPU waited for.
fn time_for(request: &Request) -> Option<Duration> {
    match request {
        Request::Wait { timeout_s, .. } => {
            Duration::try_from_secs_f64(*timeout_s).ok()?.checked_add(ANSWER)
        }
        Request::Verify
        | Request::VerifyCheckpoints
        | Request::Disk
        | Request::Gc { .. }
        | Request::Materialize { .. }
        | Request::Watch => None,
        _ => Some(ANSWER),
    }
}

/// The daemon's events as they come.
pub struct Events(Client);

impl Iterator for Events {
    type Item = io::Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.receive().transpose()
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixListener, thread};

    use super::*;

    fn answer_with(first_line: &'static str) -> Result<(), ConnectError> {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("s");
        let listener = UnixListener::bind(&socket).unwrap();
        let daemon = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(first_line.as_bytes()).unwrap();
        });
        let result = Client::connect(&socket).map(drop);
        daemon.join().unwrap();
        result
    }

    #[test]
    fn each_way_of_not_connecting_is_told_apart() {
        let nobody = Client::connect(Path::new("/nowhere/sdtrtd.sock")).map(drop);
        assert!(matches!(nobody, Err(ConnectError::NoDaemon { .. })), "{nobody:?}");
        let newer = answer_with("{\"protocol\":4000,\"version\":\"9.0.0\",\"extra\":1}\n");
        assert!(
            matches!(newer, Err(ConnectError::VersionMismatch { theirs: 4000, .. })),
            "{newer:?}"
        );
        let other = answer_with("220 mail.example ESMTP\n");
        assert!(matches!(other, Err(ConnectError::NotSdtrtd { .. })), "{other:?}");
        let silent = answer_with("");
        assert!(matches!(silent, Err(ConnectError::NotSdtrtd { .. })), "{silent:?}");
    }
}
