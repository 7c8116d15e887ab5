//! Results of verifying.

use protocol::Verdict;

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
    fn nothing_to_complain_about() {
        assert_eq!(complaint(&[verdict('1', None)]), None);
        assert_eq!(render(&[], Look::default()), "no engines\n");
    }
}
