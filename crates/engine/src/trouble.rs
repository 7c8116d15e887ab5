//! What is wrong with the machine, and with no checkpoint.

use std::io;

/// Whether a file could not be written for want of room.
pub fn is_disk_full(error: &anyhow::Error) -> bool {
    let kinds = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
    io_errors(error).any(|error| kinds.contains(&error.kind()))
}

/// Whether the system refused something: a disk that is read-only, away or broken, a folder that is gone,
/// too many open files, no memory, no process to be had. The same will do once that is mended, so it says
/// nothing about what was to be done.
pub fn is_trouble(error: &anyhow::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    // These are about what was read.
    let is_about_content = |error: &io::Error| {
        matches!(error.kind(), InvalidData | InvalidInput | Other | UnexpectedEof)
    };
    io_errors(error).any(|error| !is_about_content(error))
}

fn io_errors(error: &anyhow::Error) -> impl Iterator<Item = &io::Error> {
    error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>())
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn what_the_system_refuses_is_told_from_what_is_wrong_with_a_file() {
        let system = |errno: Errno| {
            let error = io::Error::from_raw_os_error(errno.raw_os_error());
            Err::<(), _>(error).context("cannot write the plan").unwrap_err()
        };
        for errno in [
            Errno::NOSPC,
            Errno::DQUOT,
            Errno::ROFS,
            Errno::IO,
            Errno::NOENT,
            Errno::ACCESS,
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOMEM,
            Errno::AGAIN,
            Errno::STALE,
        ] {
            assert!(is_trouble(&system(errno)), "{errno}");
            assert_eq!(
                is_disk_full(&system(errno)),
                [Errno::NOSPC, Errno::DQUOT].contains(&errno),
                "{errno}"
            );
        }
        let folder = tempfile::tempdir().unwrap();
        let gone = tempfile::tempdir_in(folder.path().join("gone")).context("no folder");
        assert!(is_trouble(&gone.unwrap_err()), "tempfile's own errors too");
        for other in [
            anyhow!("TensorRT refused the graph"),
            anyhow!(io::Error::from(io::ErrorKind::UnexpectedEof)).context("the header is cut off"),
            anyhow!(io::Error::other("not this")),
        ] {
            assert!(!is_trouble(&other) && !is_disk_full(&other), "{other:#}");
        }
    }
}
