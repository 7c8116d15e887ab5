//! Well-behaved and badly behaved clients.

use protocol::Hello;
use tokio::sync::broadcast;

use super::*;
use crate::api::{Line, seats::Seats};

/// Has one channel of events, and counts its subscriptions.
#[derive(Clone)]
struct Told(broadcast::Sender<Line>);

impl Service for Told {
    async fn ask(&self, _: Request) -> Reply {
        Reply::Removed([7; 32].into())
    }

    async fn watch(&self) -> (Line, broadcast::Receiver<Line>) {
        (line(&"state"), self.0.subscribe())
    }
}

async fn seated(stream: UnixStream, may_change: bool, service: Told) -> io::Result<()> {
    serve(stream, may_change, service, &Seats::default().take((0, None))).await
}

/// What has not come by then will not come.
const PATIENCE: Duration = Duration::from_secs(60);

/// The next line, on a clock that runs by itself.
async fn next(lines: &mut Lines) -> String {
    let line = timeout(PATIENCE, lines.next()).await.expect("nothing came");
    line.unwrap().unwrap()
}

async fn watching(
    service: &Told,
) -> (Lines, OwnedWriteHalf, tokio::task::JoinHandle<io::Result<()>>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let served = tokio::spawn(seated(theirs, true, service.clone()));
    let (input, mut output) = ours.into_split();
    let mut lines = Lines(BufReader::new(input));
    let hello = Hello { protocol: VERSION, version: String::new() };
    send(&mut output, &line(&hello)).await.unwrap();
    send(&mut output, &line(&Request::Watch)).await.unwrap();
    lines.next().await.unwrap().unwrap();
    (lines, output, served)
}

#[tokio::test]
async fn a_client_that_lags_gets_the_whole_state_again() {
    let service = Told(broadcast::Sender::new(2));
    let (mut lines, _output, _) = watching(&service).await;
    assert_eq!(next(&mut lines).await, "\"state\"\n");
    // There is only one thread, so nothing is sent in between.
    for number in 0..9 {
        service.0.send(line(&number)).unwrap();
    }
    assert_eq!(next(&mut lines).await, "\"state\"\n");
    service.0.send(line(&10)).unwrap();
    assert_eq!(next(&mut lines).await, "10\n");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_reads_or_never_writes_is_dropped() {
    let service = Told(broadcast::Sender::new(2));
    let (mut lines, _output, served) = watching(&service).await;
    lines.next().await.unwrap();
    // More than a socket buffers.
    service.0.send(vec![b' '; 64 << 20].into()).unwrap();
    let ended = served.await.unwrap();
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);

    let (_ours, theirs) = UnixStream::pair().unwrap();
    let ended = seated(theirs, true, service).await;
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn a_client_that_may_not_make_changes_may_query() {
    let service = Told(broadcast::Sender::new(2));
    let (ours, theirs) = UnixStream::pair().unwrap();
    tokio::spawn(seated(theirs, false, service));
    let (input, mut output) = ours.into_split();
    let mut lines = Lines(BufReader::new(input));
    let hello = Hello { protocol: VERSION, version: String::new() };
    send(&mut output, &line(&hello)).await.unwrap();
    next(&mut lines).await;
    for (request, allowed) in [
        (Request::Status, true),
        (Request::Pause { seconds: None }, false),
        (Request::Verify, false),
    ] {
        send(&mut output, &line(&request)).await.unwrap();
        let reply: Reply = serde_json::from_str(&next(&mut lines).await).unwrap();
        assert_eq!(!matches!(reply, Reply::Failed(_)), allowed, "{request:?}: {reply:?}");
    }
}
