//! Everything known of one checkpoint.

use protocol::{Checkpoint, Engine, Proof};

use crate::render::{table::Fields, text};

pub(crate) fn render(checkpoint: &Checkpoint) -> String {
    let mut fields = Fields::default();
    fields.add("weights id", checkpoint.weights_id.as_deref().unwrap_or("not known"));
    fields.add("UNet id", checkpoint.unet_id.as_deref().unwrap_or("not known"));
    fields.add("architecture", checkpoint.architecture.as_deref().unwrap_or("not known"));
    fields.add("state", checkpoint.state.to_string());
    if let Some(reason) = &checkpoint.reason {
        fields.add("reason", reason);
    }
    fields.all("locations", checkpoint.locations.iter().cloned());
    fields.add("engines", checkpoint.engines.len().to_string());
    let mut rendered = fields.render();
    for engine in &checkpoint.engines {
        rendered.push('\n');
        rendered.push_str(&render_engine(engine));
    }
    rendered
}

fn render_engine(engine: &Engine) -> String {
    let mut fields = Fields::indented("  ");
    fields.add("engine", &engine.key);
    fields.add("state", engine.state.to_string());
    fields.add("numbers", numbers(engine.proof.as_ref()));
    if let Some(changed) = &engine.outdated {
        fields.add("outdated", changed);
    }
    if engine.pinned {
        fields.add("pinned", "yes");
    }
    fields.add("path", &engine.path);
    fields.add("size", text::size(engine.bytes));
    fields.add("presets", engine.presets.join(", "));
    let weights = if engine.shared { "the checkpoint's, refitted" } else { "inside" };
    fields.add("weights", weights);
    fields.add("built by", format!("{} {}", engine.flavour, engine.version));
    fields.add("built for", engine.compute_capabilities.join(", "));
    fields.render()
}

/// What is known of them.
fn numbers(proof: Option<&Proof>) -> String {
    let Some(Proof { relative_error, bound }) = proof else {
        return "not compared with PyTorch's yet".to_owned();
    };
    let error = relative_error.map_or("no number".to_owned(), |error| format!("{error:.1e}"));
    format!("{error} off PyTorch's, at most {bound:.1e}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn a_ready_checkpoint_shows_its_engines() {
        insta::assert_snapshot!(render(&samples::ready()), @r"
        weights id     aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        UNet id        bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
        architecture   sd1
        state          ready
        locations      /models/a/sd15.safetensors
                       /models/copy.safetensors
        engines        1

          engine      eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee
          state       ready
          numbers     not compared with PyTorch's yet
          path        /data/engines/e.engine
          size        1.7 GB
          presets     default
          weights     inside
          built by    tensorrt-rtx 1.7.1.116
          built for   8.9, 12.0
        ");
    }

    #[test]
    fn an_engine_tells_what_is_special_about_it() {
        let mut checkpoint = samples::ready();
        checkpoint.engines[0].outdated = Some("recipe 1 → 2".into());
        checkpoint.engines[0].pinned = true;
        checkpoint.engines[0].shared = true;
        checkpoint.engines[0].proof = Some(Proof { relative_error: Some(0.0021), bound: 0.02 });
        let rendered = render(&checkpoint);
        assert!(
            rendered.contains("numbers     2.1e-3 off PyTorch's, at most 2.0e-2"),
            "{rendered}"
        );
        let told = "outdated    recipe 1 → 2\n  pinned      yes\n";
        assert!(rendered.contains(told), "{rendered}");
        assert!(rendered.contains("weights     the checkpoint's, refitted\n"), "{rendered}");
    }

    #[test]
    fn what_is_not_known_is_said() {
        insta::assert_snapshot!(render(&samples::rejected()), @r"
        weights id     not known
        UNet id        not known
        architecture   not known
        state          rejected
        reason         is a LoRA, which has no UNet of its own
        locations      /models/evil\u{1b}]0;x\u{7}.safetensors
        engines        0
        ");
    }

    #[test]
    fn no_location_is_said() {
        assert!(render(&samples::orphaned()).contains("locations      none\n"));
    }
}
