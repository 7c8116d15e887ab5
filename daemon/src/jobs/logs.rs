//! The logs of jobs.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use checkpoint::Id;
use protocol::{Failure, JobLog, Reply};

/// The most that is sent of a log, from its end.
const SENT_BYTES: u64 = 1 << 20;

pub(crate) fn built(engine: &Id) -> String {
    format!("{engine}.log")
}

pub(crate) fn validated(engine: &Id) -> String {
    format!("{engine}-validation.log")
}

/// Replies with the first of these that exists.
pub(crate) fn first(logs: impl Iterator<Item = (Id, PathBuf)>) -> Result<Reply, Failure> {
    for (engine, path) in logs {
        match tail(&path) {
            Ok((text, is_cut)) => {
                return Ok(Reply::Log(JobLog {
                    engine,
                    path: path.to_string_lossy().into_owned(),
                    text,
                    is_cut,
                }));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(other(format!("cannot read {}: {error}", path.display()))),
        }
    }
    let message = "there is no log: nothing was built yet, or `sdtrtctl gc` has cleared it away";
    Err(other(message.to_owned()))
}

/// Whether the end of a log says that memory ran out, in the words of the allocators of Rust, C++ and the
/// system.
pub(super) fn tells_of_memory(path: &Path) -> bool {
    const WORDS: [&str; 4] =
        ["memory allocation of", "std::bad_alloc", "Cannot allocate memory", "OutOfMemory"];
    let Ok((text, _)) = tail(path) else { return false };
    let last: Vec<&str> = text.lines().rev().take(20).collect();
    last.iter().any(|line| WORDS.iter().any(|words| line.contains(words)))
}

fn tail(path: &Path) -> io::Result<(String, bool)> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let start = length.saturating_sub(SENT_BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    // It may be growing.
    file.take(SENT_BYTES).read_to_end(&mut bytes)?;
    Ok((String::from_utf8_lossy(&bytes).into_owned(), start > 0))
}

fn other(message: String) -> Failure {
    Failure::Other { message }
}
