//! Finished builds and validations.

use protocol::{Finished, Outcome};

use crate::render::{
    look::{Look, Tone},
    table::Table,
    text,
};

/// `now` is in seconds since 1970.
pub(crate) fn render(history: &[Finished], now: u64, look: Look) -> String {
    if history.is_empty() {
        return "nothing has been built yet\n".to_owned();
    }
    let mut table =
        Table::new(&["FINISHED", "RESULT", "TOOK", "SIZE", "ENGINE", "SERVES", "CHECKPOINT"]);
    for finished in history {
        let cells = [
            &(text::duration(now.saturating_sub(finished.ended_at)) + " ago"),
            &finished.outcome.to_string(),
            &text::duration(finished.seconds),
            &finished.bytes.map_or_else(|| "-".to_owned(), text::size),
            &finished.engine.short(),
            &finished.preset,
            finished.location.rsplit('/').next().unwrap_or_default(),
        ];
        table.row(cells, finished.reason.as_deref());
        table.tone(
            1,
            match finished.outcome {
                Outcome::Built | Outcome::Validated | Outcome::Fetched => Tone::Good,
                Outcome::Failed => Tone::Bad,
                Outcome::Abandoned => Tone::Warning,
            },
        );
    }
    table.render(look)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn each_ending() {
        let finished = |outcome, reason: Option<&str>, bytes| Finished {
            engine: samples::id('e'),
            weights_id: samples::id('a'),
            location: "/models/a/sd15.safetensors".into(),
            preset: "default, dynamic".into(),
            outcome,
            reason: reason.map(Into::into),
            seconds: 75,
            bytes,
            ended_at: 1_000_000,
        };
        let all = [
            finished(Outcome::Built, None, Some(1_712_345_678)),
            finished(Outcome::Validated, None, None),
            finished(Outcome::Abandoned, Some("GPU 0 is at 87 %"), None),
            finished(Outcome::Failed, Some("the disk is full"), None),
        ];
        insta::assert_snapshot!(render(&all, 1_003_600, Look::default()), @r"
        FINISHED   RESULT      TOOK         SIZE     ENGINE         SERVES             CHECKPOINT
        1 h ago    built       1 min 15 s   1.7 GB   eeeeeeeeeeee   default, dynamic   sd15.safetensors
        1 h ago    validated   1 min 15 s   -        eeeeeeeeeeee   default, dynamic   sd15.safetensors
        1 h ago    abandoned   1 min 15 s   -        eeeeeeeeeeee   default, dynamic   sd15.safetensors
          GPU 0 is at 87 %
        1 h ago    failed      1 min 15 s   -        eeeeeeeeeeee   default, dynamic   sd15.safetensors
          the disk is full
        ");
        assert_eq!(render(&[], 0, Look::default()), "nothing has been built yet\n");
    }
}
