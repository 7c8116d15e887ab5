//! Programs that the configuration names, run for each notice.

use std::{process::Stdio, time::Duration};

use anyhow::{Context, Result, bail};
use config::hook;
use protocol::real_path;
use tokio::{
    io::{self, AsyncReadExt},
    process::Command,
    time::timeout,
};

use super::Notice;

/// A hook that takes longer is ended.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes of what it says of its failure.
const SAID: u64 = 2000;

/// Runs a hook for a notice, if there is one.
///
/// # Errors
/// If it can't be started, fails, or takes too long.
pub(super) async fn run(hook: &[String], notice: &Notice) -> Result<()> {
    let Notice { path, state, reason } = notice;
    let filled = hook::filled(hook, |placeholder| match placeholder {
        // As programs that open it need it.
        "name" => real_path(notice.name()).into(),
        "path" => real_path(path).into(),
        "state" => state.to_string().into(),
        "reason" => reason.into(),
        other => format!("{{{other}}}").into(),
    });
    let Some((program, arguments)) = filled.split_first() else { return Ok(()) };
    let called = program.display();
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child =
        command.kill_on_drop(true).spawn().with_context(|| format!("cannot run {called}"))?;
    let mut said = Vec::new();
    let mut end = async || {
        if let Some(mut stderr) = child.stderr.take() {
            let _ = (&mut stderr).take(SAID).read_to_end(&mut said).await;
            // Who can't write any more may end because of it.
            let _ = io::copy(&mut stderr, &mut io::sink()).await;
        }
        child.wait().await
    };
    let ended = timeout(PATIENCE, end()).await;
    match ended {
        Err(_) => bail!("{called} was ended: it took over {} s", PATIENCE.as_secs()),
        Ok(Err(error)) => Err(error).with_context(|| format!("cannot wait for {called}")),
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => bail!("{called}: {status}: {}", String::from_utf8_lossy(&said).trim()),
    }
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt};

    use protocol::{State, shown_path};

    use super::*;

    fn notice() -> Notice {
        Notice {
            path: "/m/a b; $(x).safetensors".to_owned(),
            state: State::Failed,
            reason: "out of memory".to_owned(),
        }
    }

    fn hook(arguments: &[&str]) -> Vec<String> {
        arguments.iter().map(|argument| (*argument).to_owned()).collect()
    }

    #[tokio::test]
    async fn arguments_are_given_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let script = "out=$1; shift; printf '%s\\n' \"$@\" > \"$out\"";
        let out_text = out.to_str().unwrap();
        let hook =
            hook(&["sh", "-c", script, "sh", out_text, "{name}", "{path}", "{state}: {reason}"]);
        run(&hook, &notice()).await.unwrap();
        let expected = "a b; $(x).safetensors\n/m/a b; $(x).safetensors\nfailed: out of memory\n";
        assert_eq!(fs::read_to_string(out).unwrap(), expected);
    }

    #[tokio::test]
    async fn a_path_that_is_not_utf8_can_be_opened() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(OsStr::from_bytes(b"caf\xe9.safetensors"));
        fs::write(&file, "").unwrap();
        let notice = Notice { path: shown_path(&file), ..notice() };
        run(&hook(&["sh", "-c", "rm \"$1\"", "sh", "{path}"]), &notice).await.unwrap();
        assert!(!file.exists());
    }

    #[tokio::test]
    async fn one_may_say_more_than_is_kept() {
        let says = "head -c 300000 /dev/zero >&2 && printf '\\377' >&2";
        run(&hook(&["sh", "-c", says]), &notice()).await.unwrap();
    }

    #[tokio::test]
    async fn what_goes_wrong_is_told() {
        run(&[], &notice()).await.unwrap();
        for (hook, words) in [
            (
                hook(&["sh", "-c", "echo no such mailbox >&2; exit 3"]),
                "exit status: 3: no such mailbox",
            ),
            (hook(&["/nowhere/program"]), "cannot run /nowhere/program"),
        ] {
            let error = format!("{:#}", run(&hook, &notice()).await.unwrap_err());
            assert!(error.contains(words), "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_takes_too_long_is_ended() {
        let error = run(&hook(&["sleep", "1000000"]), &notice()).await.unwrap_err().to_string();
        assert_eq!(error, "sleep was ended: it took over 60 s");
    }
}
