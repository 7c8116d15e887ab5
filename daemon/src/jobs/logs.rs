//! What was said during a job.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::PathBuf,
};

use protocol::{Failure, JobLog, Reply};

/// What is sent of a log at most, from its end.
const SENT_BYTES: u64 = 1 << 20;

pub(crate) fn built(engine: &str) -> String {
    format!("{engine}.log")
}

pub(crate) fn validated(engine: &str) -> String {
    format!("{engine}-validation.log")
}

pub(crate) fn first(logs: impl Iterator<Item = PathBuf>) -> Result<Reply, Failure> {
    for path in logs {
        match tail(&path) {
            Ok((text, is_cut)) => {
                let name = path.file_stem().unwrap_or_default().to_string_lossy();
                let engine = name.split('-').next().unwrap_or_default().to_owned();
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

fn tail(path: &std::path::Path) -> io::Result<(String, bool)> {
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
