//! Reads a worker's output, whatever it is: limits the length of lines and the amount.

use std::io;

use engine::{Progress, Report};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    time::{Duration, Instant, sleep_until},
};

use super::Hear;

/// The longest line: a report with the binding of SDXL's UNet takes some hundreds of KB.
const LINE_BYTES: usize = 8 << 20;

/// The most output besides reports: libraries print, but not this much.
const CHATTER_BYTES: u64 = 64 << 20;

/// The shortest time between two reports of progress.
const TELL: Duration = Duration::from_millis(100);

/// The worker writes more than anyone would read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flood;

/// The lines of a worker's standard output.
pub(super) struct Output<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    /// Whether the current line is too long for a report, and skipped.
    is_too_long: bool,
    chatter: u64,
}

impl<R: AsyncRead + Unpin> Output<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input: BufReader::new(input), line: Vec::new(), is_too_long: false, chatter: 0 }
    }

    /// Returns the next line that is short enough, without its end; `None` at the end of the output.
    /// Cancel-safe: nothing is lost if this is dropped and called again.
    pub(super) async fn line(&mut self) -> io::Result<Option<Result<String, Flood>>> {
        loop {
            let bytes = self.input.fill_buf().await?;
            if bytes.is_empty() {
                return Ok(None);
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let part = &bytes[..end.unwrap_or(bytes.len())];
            self.is_too_long |= self.line.len() + part.len() > LINE_BYTES;
            if self.is_too_long {
                self.chatter += part.len() as u64;
                self.line = Vec::new();
            } else {
                self.line.extend_from_slice(part);
            }
            let taken = part.len() + usize::from(end.is_some());
            self.input.consume(taken);
            if self.chatter > CHATTER_BYTES {
                return Ok(Some(Err(Flood)));
            }
            if end.is_some() && !std::mem::take(&mut self.is_too_long) {
                let line = String::from_utf8_lossy(&self.line).into_owned();
                self.line.clear();
                return Ok(Some(Ok(line)));
            }
        }
    }

    /// Follows reports until the last one; `None` if the output ends without it.
    pub(super) async fn follow(
        &mut self,
        hear: &mut Hear,
        standstill: Duration,
    ) -> io::Result<Followed> {
        let mut told = Told { hear, last: None, waiting: None, next: Instant::now() };
        let mut until = Instant::now() + standstill;
        loop {
            let line = tokio::select! {
                line = self.line() => line?,
                () = sleep_until(told.next), if told.waiting.is_some() => {
                    told.tell();
                    continue;
                }
                () = sleep_until(until) => return Ok(Followed::Standstill),
            };
            let line = match line {
                _ if self.chatter > CHATTER_BYTES => return Ok(Followed::Flood),
                None => return Ok(Followed::Closed),
                Some(Err(Flood)) => return Ok(Followed::Flood),
                Some(Ok(line)) => line,
            };
            match serde_json::from_str(&line) {
                Ok(Report::Progress(now)) => {
                    if told.take(now) {
                        until = Instant::now() + standstill;
                    }
                    self.chatter += line.len() as u64 / 16;
                }
                Ok(last) => return Ok(Followed::Ended(Box::new(last))),
                // TensorRT itself may print there; only reports count.
                Err(_) => {
                    self.chatter += line.len() as u64 + 1;
                    tracing::debug!("worker: {}", line.chars().take(500).collect::<String>());
                }
            }
        }
    }
}

/// How following a worker ended.
#[derive(Debug)]
pub(super) enum Followed {
    /// With its last report.
    Ended(Box<Report>),
    /// Its output ended without one.
    Closed,
    /// It wrote more than anyone would read.
    Flood,
    /// It made no progress for too long.
    Standstill,
}

/// Passes on progress, but no more often than anyone looks.
struct Told<'a> {
    hear: &'a mut Hear,
    last: Option<Progress>,
    waiting: Option<Progress>,
    next: Instant,
}

impl Told<'_> {
    /// Whether this progress is to be passed on.
    fn take(&mut self, now: Progress) -> bool {
        if self.last == Some(now) {
            return false;
        }
        (self.last, self.waiting) = (Some(now), Some(now));
        if self.next <= Instant::now() {
            self.tell();
        }
        true
    }

    fn tell(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            (self.hear)(waiting);
        }
        self.next = Instant::now() + TELL;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use engine::Phase;

    use super::*;

    fn report(report: &Report) -> String {
        serde_json::to_string(report).unwrap() + "\n"
    }

    fn progress(percent: u8) -> String {
        report(&Report::Progress(Progress { phase: Phase::Build, percent }))
    }

    /// How following this output ends, and the progress passed on.
    async fn follow(bytes: &[u8]) -> (Followed, Vec<u8>) {
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = told.clone();
        let mut hear: Hear = Box::new(move |now| heard.lock().unwrap().push(now.percent));
        let mut output = Output::new(bytes);
        let followed = output.follow(&mut hear, Duration::from_secs(60)).await.unwrap();
        drop(hear);
        (followed, Arc::try_unwrap(told).unwrap().into_inner().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn lines_without_an_end_take_no_memory_and_what_follows_is_heard() {
        let mut bytes = vec![b'x'; LINE_BYTES + 1];
        bytes.extend(b"\nTensorRT prints\n\xff\n");
        bytes.extend(report(&Report::Materialized(7)).bytes());
        let (followed, _) = follow(&bytes).await;
        let Followed::Ended(last) = followed else { panic!("{followed:?}") };
        assert_eq!(*last, Report::Materialized(7));

        let mut output = Output::new(tokio::io::repeat(b'x'));
        assert_eq!(output.line().await.unwrap(), Some(Err(Flood)));
        assert!(output.line.capacity() <= 2 * LINE_BYTES);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_lines_ends_and_one_of_progress_is_told_seldom() {
        let chatter = "a line\n".repeat(CHATTER_BYTES as usize / 7 + 1);
        assert!(matches!(follow(chatter.as_bytes()).await.0, Followed::Flood));
        let often: String = (0..10_000).map(|number| progress((number % 101) as u8)).collect();
        let (followed, told) = follow(often.as_bytes()).await;
        assert!(matches!(followed, Followed::Closed) && told == [0], "{followed:?} {told:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_gets_no_further_is_not_waited_for_whatever_it_says() {
        let (input, mut end) = tokio::io::duplex(64);
        let said = tokio::spawn(async move {
            loop {
                let line = progress(50);
                if tokio::io::AsyncWriteExt::write_all(&mut end, line.as_bytes()).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let mut hear: Hear = Box::new(|_| ());
        let started = Instant::now();
        let followed = Output::new(input).follow(&mut hear, Duration::from_secs(60)).await;
        assert!(matches!(followed, Ok(Followed::Standstill)));
        assert_eq!(started.elapsed().as_secs(), 60);
        said.abort();
    }
}
