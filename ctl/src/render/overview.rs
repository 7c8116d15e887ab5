//! How things stand, and what one would do next.

use protocol::{State, Status};

use crate::render::{look::Look, status, text};

/// `look` is the terminal's.
pub(crate) fn render(all: &Status, look: Look) -> String {
    let wrap = |line: &str| text::wrap(line, "", look.width);
    let mut told = wrap(&format!("checkpoints: {}", status::counts(all)));
    if !all.building.is_empty() || !all.queue.is_empty() {
        told += &wrap(&format!("now: {}", text::clean(&status::next(all))));
    }
    told.push('\n');
    for line in advice(all) {
        told += &wrap(&line);
    }
    told + &wrap("`sdtrtctl --help` lists all commands.")
}

/// Why there is no daemon, and what to do.
pub(crate) fn without_daemon(reason: &str) -> String {
    format!(
        "{reason}.\n\n`sdtrtctl setup` sets sdtrtd up, and `sdtrtctl doctor` says why it does not run.\n\
         `sdtrtctl --help` lists all commands."
    )
}

/// What to do, the most urgent first; never nothing.
fn advice(all: &Status) -> Vec<String> {
    let count = |state| all.counts.get(&state).copied().unwrap_or(0);
    let mut advice = Vec::new();
    if all.runtime.is_none() {
        let why = all.runtime_problem.as_deref().unwrap_or("there is no TensorRT-RTX");
        advice.push(format!("No engine can be built: {}.", text::clean(why)));
    }
    if !all.troubles.is_empty() || all.gpu_problem.is_some() {
        advice
            .push("Something is wrong with this machine: `sdtrtctl doctor` says what.".to_owned());
    }
    if let Some(dir) = all.models_dirs.iter().find(|dir| dir.problem.is_some()) {
        let problem = dir.problem.as_deref().unwrap_or_default();
        advice.push(format!("{} {}.", text::clean(&dir.path), text::clean(problem)));
    }
    if all.paused {
        advice.push("Building is paused: `sdtrtctl resume` goes on.".to_owned());
    }
    if count(State::Failed) > 0 {
        advice.push(
            "Something failed: `sdtrtctl list` says why, `sdtrtctl retry REF` tries again."
                .to_owned(),
        );
    }
    if all.counts.is_empty() {
        advice.push("There is no checkpoint yet: put one into a models folder, or see `sdtrtctl config edit`.".to_owned());
    } else if is_busy(all) {
        advice.push(
            "`sdtrtctl watch` shows the progress; pictures can be made meanwhile.".to_owned(),
        );
    } else if count(State::Ready) == 0 {
        advice.push("No checkpoint has engines: `sdtrtctl list` says why.".to_owned());
    } else if advice.is_empty() {
        advice.push("Everything is ready: `sdtrtctl check 512x768 --hires 2` says which engines make an image.".to_owned());
    }
    advice
}

/// Whether something is still to be read or built.
fn is_busy(all: &Status) -> bool {
    let passing = [State::Settling, State::Identifying, State::Queued, State::Building];
    let is_there = |state| all.counts.get(state).is_some_and(|count| *count > 0);
    !all.building.is_empty() || !all.queue.is_empty() || passing.iter().any(is_there)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    /// A daemon that has built everything.
    fn done() -> Status {
        Status {
            building: vec![],
            queue: vec![],
            gate: None,
            models_dirs: vec![],
            counts: [(State::Ready, 3)].into(),
            ..samples::status()
        }
    }

    #[test]
    fn what_one_would_do_next() {
        let failed = [(State::Ready, 3), (State::Failed, 1)];
        let settling = [(State::Ready, 3), (State::Settling, 1)];
        for (status, expected) in [
            (done(), "Everything is ready"),
            (samples::status(), "/mnt/nas does not exist."),
            (samples::status(), "`sdtrtctl watch` shows the progress"),
            (Status { paused: true, ..done() }, "`sdtrtctl resume` goes on"),
            (Status { counts: failed.into(), ..done() }, "`sdtrtctl retry REF` tries again"),
            (Status { counts: [].into(), ..done() }, "put one into a models folder"),
            (
                Status { counts: [(State::Rejected, 2)].into(), ..done() },
                "`sdtrtctl list` says why",
            ),
            (Status { counts: settling.into(), ..done() }, "`sdtrtctl watch` shows the progress"),
            (
                Status { troubles: vec!["/ is full".into()], ..done() },
                "`sdtrtctl doctor` says what",
            ),
            (
                Status { runtime: None, runtime_problem: Some("not found".into()), ..done() },
                "No engine can be built: not found.",
            ),
        ] {
            let told = render(&status, Look::default());
            assert!(told.contains(expected), "{expected} in {told}");
            assert_eq!(
                told.contains("Everything is ready"),
                expected.starts_with("Everything"),
                "{told}"
            );
        }
    }

    #[test]
    fn a_line_says_how_things_stand() {
        assert!(render(&done(), Look::default()).starts_with("checkpoints: 3 ready\n\n"));
        let busy = render(&samples::status(), Look::default());
        assert!(
            busy.starts_with("checkpoints: 1 queued, 3 ready\nnow: building aaaaaaaaaaaa\n"),
            "{busy}"
        );
    }

    #[test]
    fn it_fits_a_narrow_terminal() {
        let told = render(&samples::status(), Look { width: Some(40), colour: false });
        assert!(told.lines().all(|line| line.len() <= 40), "{told}");
    }
}
