//! Results of verifying.

use protocol::{CheckpointVerdict, Verdict};

use crate::render::{
    look::{Look, Tone},
    table::Table,
    text,
};

pub(crate) fn render(verdicts: &[Verdict], look: Look) -> String {
    if verdicts.is_empty() {
        return "no engines\n".to_owned();
    }
    let mut table = Table::new(&["ENGINE", "RESULT", "PATH"]);
    for Verdict { key, path, problem } in verdicts {
        let result = if problem.is_some() { "bad" } else { "ok" };
        table.row([&key.short(), result, path], problem.as_deref());
        table.tone(1, if problem.is_some() { Tone::Bad } else { Tone::Good });
    }
    table.render(look)
}

/// What to do about the bad ones, if any.
pub(crate) fn complaint(verdicts: &[Verdict]) -> Option<String> {
    let bad = verdicts.iter().filter(|verdict| verdict.problem.is_some()).count();
    (bad > 0).then(|| {
        format!(
            "{bad} of {} did not match; delete it with `sdtrtctl remove ENGINE`, then rebuild it with \
             `sdtrtctl build REF`",
            text::count(verdicts.len(), "engine"),
        )
    })
}

pub(crate) fn render_checkpoints(verdicts: &[CheckpointVerdict], look: Look) -> String {
    if verdicts.is_empty() {
        return "no checkpoints\n".to_owned();
    }
    let mut table = Table::new(&["CHECKPOINT", "RESULT", "PATH"]);
    for CheckpointVerdict { location, weights_id, problem } in verdicts {
        let result = if problem.is_some() { "changed" } else { "ok" };
        table.row([&weights_id.short(), result, location], problem.as_deref());
        table.tone(1, if problem.is_some() { Tone::Bad } else { Tone::Good });
    }
    table.render(look)
}

/// What happens to those that are not what they were known as, if any.
pub(crate) fn checkpoints_complaint(verdicts: &[CheckpointVerdict]) -> Option<String> {
    let changed = verdicts.iter().filter(|verdict| verdict.problem.is_some()).count();
    (changed > 0).then(|| {
        format!(
            "{changed} of {} did not hold what was known; the daemon reads them again by itself. If nobody \
             has changed them, check their disk",
            text::count(verdicts.len(), "checkpoint"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    fn verdict(digit: char, problem: Option<&str>) -> Verdict {
        Verdict {
            key: samples::id(digit),
            path: format!("/data/engines/{digit}.engine"),
            problem: problem.map(str::to_owned),
        }
    }

    #[test]
    fn good_and_bad() {
        let verdicts = [verdict('1', None), verdict('2', Some("is 3 bytes short"))];
        insta::assert_snapshot!(render(&verdicts, Look::default()), @r"
        ENGINE         RESULT   PATH
        111111111111   ok       /data/engines/1.engine
        222222222222   bad      /data/engines/2.engine
          is 3 bytes short
        ");
        insta::assert_snapshot!(complaint(&verdicts).unwrap(), @"1 of 2 engines did not match; delete it with `sdtrtctl remove ENGINE`, then rebuild it with `sdtrtctl build REF`");
    }

    #[test]
    fn checkpoints_that_changed() {
        let verdict = |digit, problem: Option<&str>| CheckpointVerdict {
            location: format!("/m/{digit}.safetensors"),
            weights_id: samples::id(digit),
            problem: problem.map(str::to_owned),
        };
        let verdicts = [verdict('1', None), verdict('2', Some("it holds 333333333333 now"))];
        insta::assert_snapshot!(render_checkpoints(&verdicts, Look::default()), @r"
        CHECKPOINT     RESULT    PATH
        111111111111   ok        /m/1.safetensors
        222222222222   changed   /m/2.safetensors
          it holds 333333333333 now
        ");
        assert!(
            checkpoints_complaint(&verdicts).unwrap().starts_with("1 of 2 checkpoints did not")
        );
        assert_eq!(checkpoints_complaint(&verdicts[..1]), None);
        assert_eq!(render_checkpoints(&[], Look::default()), "no checkpoints\n");
    }

    #[test]
    fn nothing_to_complain_about() {
        assert_eq!(complaint(&[verdict('1', None)]), None);
        assert_eq!(render(&[], Look::default()), "no engines\n");
    }
}
