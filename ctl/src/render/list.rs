//! Checkpoints as a table.

use std::sync::Arc;

use protocol::{Checkpoint, Engine, State};

use crate::render::{look::Look, table::Table};

/// The table; `look` is the terminal's.
pub(crate) fn render(checkpoints: &[Checkpoint], look: Look) -> String {
    if checkpoints.is_empty() {
        return "no checkpoints; `sdtrtctl status` shows the watched folders\n".to_owned();
    }
    let mut table = Table::new(&["ID", "ARCHITECTURE", "STATE", "ENGINES", "LOCATION"]);
    for checkpoint in checkpoints {
        let cells = [
            &id(checkpoint),
            checkpoint.architecture.as_deref().unwrap_or("-"),
            &checkpoint.state.to_string(),
            &engines(checkpoint),
            &location(checkpoint),
        ];
        table.row(cells, checkpoint.reason.as_deref());
        table.tone(2, checkpoint.state.into());
    }
    table.render(look)
}

/// Its weights id, as far as its content was read.
fn id(checkpoint: &Checkpoint) -> String {
    match (checkpoint.weights_id, &checkpoint.architecture) {
        (Some(id), _) => id.short(),
        (None, Some(_)) => "hashing".to_owned(),
        (None, None) => "-".to_owned(),
    }
}

/// Each preset once, as several engines may serve one preset on different GPUs, and by the best of
/// them.
fn engines(checkpoint: &Checkpoint) -> String {
    let used = checkpoint.engines.iter().filter(|engine| engine.state != State::Retired);
    let (outdated, current): (Vec<&Arc<Engine>>, Vec<&Arc<Engine>>) =
        used.partition(|engine| engine.outdated.is_some());
    let mut presets: Vec<String> = Vec::new();
    for (engines, mark) in [(current, ""), (outdated, " (outdated)")] {
        for preset in engines.iter().flat_map(|engine| &engine.presets) {
            if !presets.iter().any(|known| known.trim_end_matches(" (outdated)") == preset) {
                presets.push(format!("{preset}{mark}"));
            }
        }
    }
    let is_fixed = |engine: &&Arc<Engine>| engine.fixed.is_some() && engine.outdated.is_none();
    let fixed = checkpoint.engines.iter().filter(is_fixed).count();
    let mut parts = Vec::new();
    if !presets.is_empty() {
        parts.push(presets.join(", "));
    }
    if fixed > 0 {
        parts.push(format!("+{fixed} fixed"));
    }
    if parts.is_empty() { "-".to_owned() } else { parts.join(" ") }
}

fn location(checkpoint: &Checkpoint) -> String {
    match checkpoint.locations.as_slice() {
        [] => "-".to_owned(),
        [only] => only.clone(),
        [first, others @ ..] => format!("{first} (+{})", others.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn one_line_each_and_reasons_below() {
        let all = [samples::ready(), samples::hashing(), samples::rejected(), samples::orphaned()];
        insta::assert_snapshot!(render(&all, Look::default()), @r"
        ID             ARCHITECTURE   STATE      ENGINES   LOCATION
        aaaaaaaaaaaa   sd1            ready      default   /models/a/sd15.safetensors (+1)
        hashing        sd1            ready      default   /models/new.safetensors
        -              -              rejected   -         /models/evil\u{1b}]0;x\u{7}.safetensors
          is a LoRA, which has no UNet of its own
        aaaaaaaaaaaa   sd1            orphaned   default   -
        ");
    }

    #[test]
    fn an_outdated_engine_is_marked_where_no_other_serves_its_preset() {
        let mut checkpoint = samples::ready();
        Arc::make_mut(&mut checkpoint.engines[0]).outdated = Some("recipe 1 → 2".into());
        assert_eq!(engines(&checkpoint), "default (outdated)");
        checkpoint.engines.push(Arc::new(samples::engine('f')));
        assert_eq!(engines(&checkpoint), "default");
    }

    #[test]
    fn fixed_engines_are_counted_and_retired_ones_are_none() {
        let mut checkpoint = samples::ready();
        checkpoint.engines.extend(['1', '2'].map(samples::fixed).map(Arc::new));
        assert_eq!(engines(&checkpoint), "default +2 fixed");
        Arc::make_mut(&mut checkpoint.engines[0]).state = State::Retired;
        assert_eq!(engines(&checkpoint), "+2 fixed");
        Arc::make_mut(&mut checkpoint.engines[1]).outdated = Some("not wanted any more".into());
        Arc::make_mut(&mut checkpoint.engines[2]).outdated = Some("not wanted any more".into());
        assert_eq!(engines(&checkpoint), "-");
    }

    #[test]
    fn a_narrow_terminal_shortens_the_location() {
        insta::assert_snapshot!(render(&[samples::ready()], Look { width: Some(72), colour: false }), @r"
        ID             ARCHITECTURE   STATE   ENGINES   LOCATION
        aaaaaaaaaaaa   sd1            ready   default   /…/sd15.safetensors (+1)
        ");
    }

    #[test]
    fn nothing_says_so() {
        insta::assert_snapshot!(render(&[], Look::default()), @"no checkpoints; `sdtrtctl status` shows the watched folders");
    }
}
