//! How a failure ends the program.

use std::process::ExitCode;

use protocol::ConnectError;

use crate::render::text;

const FAILED: u8 = 1;
const NO_DAEMON: u8 = 3;
const VERSION_MISMATCH: u8 = 4;

/// Says on standard error what went wrong; the exit code for it.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    eprintln!("sdtrtctl: {}", text::clean_lines(&describe(error)));
    ExitCode::from(code(error))
}

fn code(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<ConnectError>() {
        // To a caller, another program on the socket is the same as no daemon.
        Some(
            ConnectError::NoDaemon { .. }
            | ConnectError::Silent { .. }
            | ConnectError::NotSdtrtd { .. }
            | ConnectError::Forbidden { .. },
        ) => NO_DAEMON,
        Some(ConnectError::VersionMismatch { .. }) => VERSION_MISMATCH,
        None => FAILED,
    }
}

/// The message with its causes, except those that it already contains.
pub(crate) fn describe(error: &anyhow::Error) -> String {
    let mut message = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if message.is_empty() {
            message = cause;
        } else if !message.contains(&cause) {
            message.push_str(": ");
            message.push_str(&cause);
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use std::io;

    use anyhow::Context;

    use super::*;

    #[test]
    fn each_cause_is_told_once() {
        let source = || io::Error::other("disk on fire");
        let told = ConnectError::NotSdtrtd { socket: "/s".into(), source: source() };
        let text = describe(&anyhow::Error::new(told));
        assert_eq!(text.matches("disk on fire").count(), 1, "{text}");
        let untold = Err::<(), _>(source()).context("cannot write /x").expect_err("is one");
        assert_eq!(describe(&untold), "cannot write /x: disk on fire");
    }

    #[test]
    fn codes_tell_no_daemon_from_another_version() {
        let socket = || "/s".into();
        let source = || io::Error::other("no");
        let mismatch = ConnectError::VersionMismatch { daemon_version: "9".into(), theirs: 9 };
        for (error, expected) in [
            (ConnectError::NoDaemon { socket: socket(), source: source() }.into(), 3),
            (ConnectError::NotSdtrtd { socket: socket(), source: source() }.into(), 3),
            (anyhow::Error::new(mismatch).context("while waiting"), 4),
            (anyhow::anyhow!("else"), 1),
        ] {
            assert_eq!(code(&error), expected, "{error:?}");
        }
    }
}
