//! Checkpoints as a table.

use protocol::Checkpoint;

use crate::render::{table::Table, text};

/// The table; `width` is the terminal's, where there is one.
pub(crate) fn render(checkpoints: &[Checkpoint], width: Option<usize>) -> String {
    if checkpoints.is_empty() {
        return "no checkpoints; `sdtrtctl status` shows the folders that are watched\n".to_owned();
    }
    let mut table = Table::new(&["ID", "ARCHITECTURE", "STATE", "ENGINES", "LOCATION"]);
    for checkpoint in checkpoints {
        let cells = [
            checkpoint.weights_id.as_deref().map_or("-", text::short_id),
            checkpoint.architecture.as_deref().unwrap_or("-"),
            &checkpoint.state.to_string(),
            &engines(checkpoint),
            &location(checkpoint),
        ];
        table.row(cells, checkpoint.reason.as_deref());
    }
    table.render(width)
}

/// Each preset once, as several engines may serve one preset on different GPUs.
fn engines(checkpoint: &Checkpoint) -> String {
    let mut presets: Vec<&str> = Vec::new();
    for preset in checkpoint.engines.iter().flat_map(|engine| &engine.presets) {
        if !presets.contains(&preset.as_str()) {
            presets.push(preset);
        }
    }
    if presets.is_empty() { "-".to_owned() } else { presets.join(", ") }
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
        let all = [samples::ready(), samples::rejected(), samples::orphaned()];
        insta::assert_snapshot!(render(&all, None), @r"
        ID             ARCHITECTURE   STATE      ENGINES   LOCATION
        aaaaaaaaaaaa   sd1            ready      default   /models/a/sd15.safetensors (+1)
        -              -              rejected   -         /models/evil\u{1b}]0;x\u{7}.safetensors
          is a LoRA, which has no UNet of its own
        aaaaaaaaaaaa   sd1            orphaned   default   -
        ");
    }

    #[test]
    fn a_narrow_terminal_shortens_the_location() {
        insta::assert_snapshot!(render(&[samples::ready()], Some(72)), @r"
        ID             ARCHITECTURE   STATE   ENGINES   LOCATION
        aaaaaaaaaaaa   sd1            ready   default   /…/sd15.safetensors (+1)
        ");
    }

    #[test]
    fn nothing_says_so() {
        insta::assert_snapshot!(render(&[], None), @"no checkpoints; `sdtrtctl status` shows the folders that are watched");
    }
}
