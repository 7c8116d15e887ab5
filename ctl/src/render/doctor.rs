//! The results of the checks, and what to do.

use crate::{
    doctor::{Finding, Verdict},
    render::{
        look::{Look, Tone},
        table::Table,
        text,
    },
};

pub(crate) fn render(findings: &[Finding], look: Look) -> String {
    let mut table = Table::new(&["", "CHECK", "RESULT"]);
    for finding in findings {
        let (word, tone) = match finding.verdict {
            Verdict::Ok => ("ok", Tone::Good),
            Verdict::Warning => ("note", Tone::Warning),
            Verdict::Bad => ("bad", Tone::Bad),
        };
        table.row([word, &finding.topic, &finding.found], finding.advice.as_deref());
        table.tone(0, tone);
    }
    table.render(look)
}

/// The number of bad findings, if any.
pub(crate) fn complaint(findings: &[Finding]) -> Option<String> {
    let bad = findings.iter().filter(|finding| finding.verdict == Verdict::Bad).count();
    (bad > 0).then(|| format!("{} found, marked bad", text::count(bad, "problem")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_ok_or_says_what_to_do() {
        let finding = |topic: &str, verdict, found: &str, advice: Option<&str>| Finding {
            topic: topic.into(),
            verdict,
            found: found.into(),
            advice: advice.map(Into::into),
        };
        let all = [
            finding("NVIDIA driver", Verdict::Ok, "580.95", None),
            finding("disk", Verdict::Warning, "1.2 GB free at /data", Some("clear away")),
            finding("TensorRT-RTX", Verdict::Bad, "not found", Some("`sdtrtctl runtime install`")),
        ];
        insta::assert_snapshot!(render(&all, Look::default()), @r"
               CHECK           RESULT
        ok     NVIDIA driver   580.95
        note   disk            1.2 GB free at /data
          clear away
        bad    TensorRT-RTX    not found
          `sdtrtctl runtime install`
        ");
        assert_eq!(complaint(&all).unwrap(), "1 problem found, marked bad");
        assert_eq!(complaint(&all[..2]), None);
    }
}
