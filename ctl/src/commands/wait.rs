//! Waiting for engines, for scripts.

use std::ffi::OsStr;

use anyhow::{Result, bail};
use protocol::{Checkpoint, State, question};

use crate::{
    args::Global,
    daemon::Daemon,
    output,
    reference::reference,
    render::{list, text},
};

pub(super) fn run(global: &Global, typed: Option<&OsStr>, timeout_s: f64) -> Result<()> {
    let mut daemon = Daemon::connect(global)?;
    let reference = typed.map(|typed| reference(&mut daemon, typed)).transpose()?;
    let waited_for = daemon.ask(question::wait(reference, timeout_s))?;
    output::answer(global, &waited_for, |all| list::render(all, output::look()))?;
    match complaint(&waited_for, typed.is_some()) {
        Some(complaint) => bail!(complaint),
        None => Ok(()),
    }
}

/// Why the wait failed, if it did. A single checkpoint must be ready; when waiting for all, none may have
/// failed, but a LoRA among the models, or a deleted file, is nothing to wait for.
fn complaint(waited_for: &[Checkpoint], is_one: bool) -> Option<String> {
    if is_one && waited_for.is_empty() {
        return Some("sdtrtd has no such checkpoint".to_owned());
    }
    let is_bad = |checkpoint: &&Checkpoint| match checkpoint.state {
        State::Ready => false,
        State::Rejected | State::Away | State::Orphaned | State::Retired | State::Off => is_one,
        State::Failed => true,
        State::Settling | State::Identifying | State::Queued | State::Building => true,
    };
    let lines: Vec<_> = waited_for.iter().filter(is_bad).map(line).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn line(checkpoint: &Checkpoint) -> String {
    let reason = match (&checkpoint.reason, checkpoint.state) {
        (Some(reason), _) => format!(": {}", text::clean(reason)),
        (None, State::Orphaned) => ": no file has these weights any more".to_owned(),
        (None, _) => String::new(),
    };
    format!("{} is {}{reason}", text::name(checkpoint), checkpoint.state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_alone_and_among_all() {
        let table = [
            (State::Ready, false, false),
            (State::Failed, true, true),
            (State::Rejected, true, false),
            (State::Away, true, false),
            (State::Orphaned, true, false),
            (State::Queued, true, true),
            (State::Building, true, true),
            (State::Settling, true, true),
        ];
        for (state, alone, among_all) in table {
            let checkpoint = Checkpoint {
                weights_id: None,
                unet_id: None,
                architecture: None,
                state,
                reason: Some("because".into()),
                remarks: Vec::new(),
                locations: vec!["/m/x.ckpt".into()],
                engines: vec![],
                coming: vec![],
            };
            let expected = format!("x.ckpt is {state}: because");
            for (is_one, is_bad) in [(true, alone), (false, among_all)] {
                let told = complaint(std::slice::from_ref(&checkpoint), is_one);
                assert_eq!(told, is_bad.then(|| expected.clone()), "{state} {is_one}");
            }
        }
        assert_eq!(complaint(&[], false), None);
        assert!(complaint(&[], true).is_some());
    }
}
