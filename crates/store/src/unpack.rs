//! Decompressing what comes from a store, of which nothing is believed.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

use bytes::{Buf, Bytes};
use checkpoint::Id;
use futures_util::{StreamExt, stream::BoxStream};
use tokio::{
    sync::mpsc::{Receiver, channel},
    task::spawn_blocking,
    time::{Instant, timeout, timeout_at},
};
use zstd::stream::raw::DParameter;

use crate::{Refusal, StoreError, backend::Backend, blob::other_size, fault::away, pack::Plain};

/// The largest window that a blob may ask for, as a power of two: 128 MiB of memory.
const WINDOW_LOG: u32 = 27;

/// What a blob has to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    pub(crate) plain: Plain,
    /// Its compressed size in bytes.
    pub(crate) packed_bytes: u64,
}

/// Why a blob could not be decompressed.
enum Failure {
    Refused(Refusal),
    /// It could not be written.
    Local(io::Error),
}

/// Decompresses a blob of this name, and checks that it is what is expected; into a file, if there is one, whose errors
/// are told as those of the path beside it.
pub(crate) async fn unpack(
    backend: &Backend,
    name: &str,
    mut chunks: BoxStream<'static, object_store::Result<Bytes>>,
    expected: Expected,
    to: Option<(File, &Path)>,
) -> Result<(), StoreError> {
    let (file, path) = to.unzip();
    let (sender, receiver) = channel(4);
    let unpacking = spawn_blocking(move || {
        let to: Box<dyn Write> = match file {
            Some(file) => Box::new(file),
            None => Box::new(io::sink()),
        };
        decompress(Chunks { receiver, chunk: Bytes::new() }, expected.plain, to)
    });
    let limits = &backend.limits;
    let time = backend.time_for(expected.packed_bytes);
    let deadline = Instant::now() + time;
    let mut received = 0;
    let arrived = async {
        loop {
            let next = timeout(limits.stall, chunks.next()).await;
            let Ok(next) = next else {
                return Err(StoreError::away(format!(
                    "{name}: nothing came for {:?}",
                    limits.stall
                )));
            };
            let Some(chunk) = next else { return Ok(()) };
            let chunk = chunk.map_err(|error| away(name, &error))?;
            received += chunk.len() as u64;
            // Who decompresses has seen enough.
            if received > expected.packed_bytes || sender.send(chunk).await.is_err() {
                return Ok(());
            }
        }
    };
    let arrived = timeout_at(deadline, arrived).await;
    // Now it ends.
    drop(sender);
    let unpacked = unpacking.await.map_err(|error| StoreError::away(format!("{name}: {error}")))?;
    match arrived {
        Err(_) => return Err(StoreError::away(format!("{name}: not whole within {time:?}"))),
        Ok(arrived) => arrived?,
    }
    match unpacked {
        Err(Failure::Refused(refusal)) => Err(StoreError::refused(name, refusal)),
        Err(Failure::Local(error)) => Err(StoreError::local(path.unwrap_or(Path::new("")), error)),
        Ok(()) if received == expected.packed_bytes => Ok(()),
        Ok(()) => Err(StoreError::refused(name, other_size(received, expected.packed_bytes))),
    }
}

fn decompress(from: Chunks, expected: Plain, mut to: impl Write) -> Result<(), Failure> {
    let broken = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Failure::Refused(Refusal::Truncated),
        _ => Failure::Refused(Refusal::NotWhatItSays(format!("it does not decompress: {error}"))),
    };
    let mut decoder = zstd::Decoder::with_buffer(io::BufReader::new(from)).map_err(broken)?;
    decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG)).map_err(broken)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    loop {
        let count = decoder.read(&mut buffer).map_err(broken)?;
        let Some(chunk) = buffer.get(..count).filter(|chunk| !chunk.is_empty()) else { break };
        bytes += chunk.len() as u64;
        if bytes > expected.bytes {
            let refusal = Refusal::TooLarge { bytes, limit: expected.bytes };
            return Err(Failure::Refused(refusal));
        }
        hasher.update(chunk);
        to.write_all(chunk).map_err(Failure::Local)?;
    }
    if bytes < expected.bytes {
        return Err(Failure::Refused(other_size(bytes, expected.bytes)));
    }
    if Id::from(hasher.finalize()) != expected.blake3 {
        let why = "its content is not what it is named by: its BLAKE3 is another";
        return Err(Failure::Refused(Refusal::NotWhatItSays(why.to_owned())));
    }
    to.flush().map_err(Failure::Local)
}

/// Reads what arrives.
struct Chunks {
    receiver: Receiver<Bytes>,
    chunk: Bytes,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.receiver.blocking_recv() {
                Some(chunk) => self.chunk = chunk,
                None => return Ok(0),
            }
        }
        let count = self.chunk.len().min(buffer.len());
        self.chunk.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
