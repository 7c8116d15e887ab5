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

/// For a client to take what it asked for, and to say who it is.
const PATIENCE: Duration = Duration::from_secs(10);

/// Talks with one client until either side hangs up. Unless it `may_change` things, it may only ask.
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
        // Our hello told it which version we are; that is all it can understand.
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
                // It hung up and waits for nothing any more.
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
                // More has changed than is kept for it: it gets the whole state once more.
                Err(RecvError::Lagged(_)) => break,
                Err(RecvError::Closed) => return Ok(()),
            }
        }
    }
}

/// Fails when the client takes nothing for long, so that it holds up nobody else's place.
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
    /// The next line; `None` at the end, or when it is longer than a request can be.
    async fn next(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        let mut limited = (&mut self.0).take(REQUEST_LIMIT as u64);
        limited.read_line(&mut line).await?;
        Ok(line.ends_with('\n').then_some(line))
    }

    /// Returns once the client has hung up. What it says meanwhile stays to be read.
    async fn closed(&mut self) {
        match self.0.fill_buf().await {
            Ok([]) | Err(_) => {}
            Ok(_) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests;
