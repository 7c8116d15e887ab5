use std::{io, time::Duration};

use protocol::{Failure, Hello, REQUEST_LIMIT, Reply, Request, VERSION};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::broadcast::error::RecvError,
    time::timeout,
};

use crate::api::{
    Service, line,
    seats::{Seat, Stage},
};

/// How long a client may take to read a reply, and to send its hello.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves one client until either side disconnects. Unless it `may_change` things, it may only query.
pub(super) async fn serve(
    stream: UnixStream,
    may_change: bool,
    service: impl Service,
    seat: &Seat,
) -> io::Result<()> {
    let (input, mut output) = stream.into_split();
    let mut lines = Lines(BufReader::new(input));
    let hello = Hello { protocol: VERSION, version: env!("CARGO_PKG_VERSION").to_owned() };
    send(&mut output, &line(&hello)).await?;
    let Some(theirs) = timeout(PATIENCE, lines.next()).await?? else { return Ok(()) };
    match serde_json::from_str::<Hello>(&theirs) {
        Ok(theirs) if theirs.protocol == VERSION => {}
        // Our hello told it our version; it can't understand anything else.
        _ => return Ok(()),
    }
    loop {
        seat.set(Stage::Idle);
        let Some(asked) = lines.next().await? else { return Ok(()) };
        seat.set(Stage::Busy);
        let reply = match serde_json::from_str(&asked) {
            Ok(request) if !may_change && !request.only_looks() => Reply::Failed(Failure::Other {
                message: "only root, sdtrtd's own user and the `admins` of its configuration may \
                          change things"
                    .to_owned(),
            }),
            Ok(Request::Watch) => return watch(lines, output, service).await,
            Ok(request @ Request::Wait { .. }) => tokio::select! {
                reply = service.ask(request) => reply,
                // It disconnected and no longer waits.
                () = lines.closed() => return Ok(()),
            },
            Ok(request) => service.ask(request).await,
            Err(error) => Reply::Failed(Failure::Malformed { message: error.to_string() }),
        };
        send(&mut output, &line(&reply)).await?;
    }
}

async fn watch(
    mut lines: Lines,
    mut output: OwnedWriteHalf,
    service: impl Service,
) -> io::Result<()> {
    loop {
        let (state, mut changes) = service.watch().await;
        send(&mut output, &state).await?;
        loop {
            let change = tokio::select! {
                change = changes.recv() => change,
                () = lines.closed() => return Ok(()),
            };
            match change {
                Ok(event) => send(&mut output, &event).await?,
                // It missed more changes than are kept for it, so it gets the whole state again.
                Err(RecvError::Lagged(_)) => break,
                Err(RecvError::Closed) => return Ok(()),
            }
        }
    }
}

/// Fails if the client reads nothing for a long time, so that it does not occupy a place.
async fn send(output: &mut OwnedWriteHalf, line: &[u8]) -> io::Result<()> {
    let mut rest = line;
    while !rest.is_empty() {
        match timeout(PATIENCE, output.write(rest)).await?? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            taken => rest = &rest[taken..],
        }
    }
    Ok(())
}

struct Lines(BufReader<OwnedReadHalf>);

impl Lines {
    /// Returns the next line; `None` at the end, or if it is longer than any request.
    async fn next(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        let mut limited = (&mut self.0).take(REQUEST_LIMIT as u64);
        limited.read_line(&mut line).await?;
        Ok(line.ends_with('\n').then_some(line))
    }

    /// Returns once the client has disconnected. What it sends meanwhile can still be read.
    async fn closed(&mut self) {
        match self.0.fill_buf().await {
            Ok([]) | Err(_) => {}
            Ok(_) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests;
