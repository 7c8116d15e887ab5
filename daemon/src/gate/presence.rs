//! Whether a web UI's server is there, and has been for long enough to be asked something.
//!
//! While A1111 sets up its server, for some 30 ms after it first accepts connections, any request breaks its start. A
//! connection on which nothing is sent does not.

use std::{
    io,
    net::{TcpStream, ToSocketAddrs},
    time::{Duration, Instant},
};

/// How long after it has accepted a connection it is left alone.
pub(super) const SETTLE: Duration = Duration::from_secs(5);

/// A connection that is kept open, and so ends when the server does.
#[derive(Debug)]
struct Tether {
    stream: TcpStream,
    since: Instant,
}

impl Tether {
    fn has_ended(&self) -> bool {
        // The server has no reason to send anything; some send an error before they close.
        !matches!(self.stream.peek(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

/// What is known of a server at an address.
#[derive(Debug)]
pub(super) struct Presence {
    /// Host and port.
    address: String,
    tether: Option<Tether>,
}

/// Whether a server can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerState {
    /// It accepts no connection.
    Absent,
    /// It may still be setting itself up.
    Starting,
    /// It can be asked.
    Settled,
}

impl Presence {
    /// `url` is such as `http://NAME:PASSWORD@127.0.0.1:7860`.
    pub(super) fn new(url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        // The colons of an IPv6 address are in brackets.
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        let port = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
        let address = if has_port { host.to_owned() } else { format!("{host}:{port}") };
        Self { address, tether: None }
    }

    /// Looks at `now`, within `timeout` for each of the host's addresses.
    pub(super) fn look(&mut self, now: Instant, timeout: Duration) -> ServerState {
        if self.tether.as_ref().is_some_and(Tether::has_ended) {
            self.tether = None;
        }
        if self.tether.is_none() {
            let connected = self.connect(timeout);
            self.tether = connected.ok().map(|stream| Tether { stream, since: now });
        }
        match &self.tether {
            None => ServerState::Absent,
            Some(tether) if now.saturating_duration_since(tether.since) < SETTLE => {
                ServerState::Starting
            }
            Some(_) => ServerState::Settled,
        }
    }

    fn connect(&self, timeout: Duration) -> io::Result<TcpStream> {
        let mut last = io::ErrorKind::NotFound.into();
        for address in self.address.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, timeout) {
                Ok(stream) => {
                    stream.set_nonblocking(true)?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read, net::TcpListener};

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    #[test]
    fn a_server_is_left_alone_until_it_has_been_there_for_a_while() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut presence = Presence::new(&format!("http://me:secret@{address}/"));
        let start = Instant::now();
        assert_eq!(presence.look(start, TIMEOUT), ServerState::Starting);
        assert_eq!(presence.look(start + SETTLE / 2, TIMEOUT), ServerState::Starting);
        assert_eq!(presence.look(start + SETTLE, TIMEOUT), ServerState::Settled);
        let (mut kept, _) = listener.accept().unwrap();

        // Gone, and there again at once: between two looks nothing shows but the end of the connection.
        kept.shutdown(std::net::Shutdown::Both).unwrap();
        assert_eq!(kept.read(&mut [0]).unwrap(), 0, "nothing was sent on it");
        let again = start + 2 * SETTLE;
        assert_eq!(presence.look(again, TIMEOUT), ServerState::Starting);
        assert_eq!(presence.look(again + SETTLE, TIMEOUT), ServerState::Settled);
        drop((kept, listener));
        let later = again + 2 * SETTLE;
        while presence.look(later, TIMEOUT) != ServerState::Absent {}
    }

    #[test]
    fn the_address_is_that_of_the_url() {
        for (url, address) in [
            ("http://127.0.0.1:7860", "127.0.0.1:7860"),
            ("http://me:a@b:c@host:1/sub/", "host:1"),
            ("http://host", "host:80"),
            ("https://host/a1111", "host:443"),
            ("https://me:secret@host:7860", "host:7860"),
            ("http://[::1]:7860/", "[::1]:7860"),
            ("http://[::1]", "[::1]:80"),
            ("http://", ":80"),
        ] {
            assert_eq!(Presence::new(url).address, address, "{url}");
        }
    }
}
