//! Everything about one checkpoint.

use protocol::{
    Checkpoint, Coming, Engine, FileNames, Id, Limit, Shape, Speed, Timing, Unusable, Validation,
};

use crate::render::{bench, names, table::Fields, text};

pub(crate) fn render(checkpoint: &Checkpoint, files: &[FileNames]) -> String {
    let unknown = match checkpoint.architecture {
        Some(_) => "its content is still to be read",
        None => "unknown",
    };
    let id = |id: Option<Id>| id.map_or(unknown.to_owned(), |id| id.to_string());
    let mut fields = Fields::default();
    fields.add("weights id", id(checkpoint.weights_id));
    fields.add("UNet id", id(checkpoint.unet_id));
    fields.add("architecture", checkpoint.architecture.as_deref().unwrap_or("unknown"));
    fields.add("state", checkpoint.state.to_string());
    if let Some(reason) = &checkpoint.reason {
        fields.add("reason", reason);
    }
    if !checkpoint.remarks.is_empty() {
        fields.all("remarks", checkpoint.remarks.iter().cloned());
    }
    fields.all("locations", checkpoint.locations.iter().cloned());
    // Copies mostly have the same; where they don't, `list --hashes` tells.
    if let Some(file) = files.first() {
        names::add(&mut fields, file);
    }
    fields.add("engines", checkpoint.engines.len().to_string());
    if !checkpoint.coming.is_empty() {
        fields.all("to build", checkpoint.coming.iter().map(coming));
    }
    let mut rendered = fields.render();
    for engine in &checkpoint.engines {
        rendered.push('\n');
        rendered.push_str(&render_engine(engine));
    }
    rendered
}

/// What an engine is for.
fn serves(fixed: Option<&Shape>, presets: &[String]) -> String {
    match fixed {
        Some(shape) => format!("{shape}, fixed"),
        None => presets.join(", "),
    }
}

fn coming(coming: &Coming) -> String {
    let serves = serves(coming.fixed.as_ref(), &coming.presets);
    let reason = coming.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
    format!("{serves}, {}{reason}", coming.state)
}

fn render_engine(engine: &Engine) -> String {
    let mut fields = Fields::indented("  ");
    fields.add("engine", engine.key.to_string());
    fields.add("state", engine.state.to_string());
    fields.add("accuracy", accuracy(engine));
    if let Some(changed) = &engine.outdated {
        fields.add("outdated", changed);
    }
    if engine.pinned {
        fields.add("pinned", "yes");
    }
    fields.add("path", &engine.path);
    fields.add("size", text::size(engine.bytes));
    fields.add("serves", serves(engine.fixed.as_ref(), &engine.presets));
    let weights = if engine.shared { "the loaded model's" } else { "inside" };
    fields.add("weights", weights);
    fields.add("built by", format!("{} {}", engine.flavour, engine.version));
    fields.add("built for", engine.compute_capabilities.join(", "));
    if !engine.validations.is_empty() {
        fields.all("validated", engine.validations.iter().flat_map(validation));
    }
    if !engine.timings.is_empty() {
        fields.all("beside PyTorch", engine.timings.iter().map(timing));
    }
    if !engine.unusable.is_empty() {
        fields.all("not used for", engine.unusable.iter().map(unusable));
    }
    fields.render()
}

/// What a front end has measured.
fn timing(timing: &Timing) -> String {
    let Timing { width, height, batch, tokens, engine_milliseconds, gpu, front_end, .. } = timing;
    let (gain, slower) = (timing.gain(), if timing.is_slower() { ", too slow" } else { "" });
    format!(
        "{width}x{height}, batch {batch}, {tokens} tokens: {engine_milliseconds:.2} ms, {gain:.1} × PyTorch{slower} \
         ({gpu}; {front_end})"
    )
}

/// A call that PyTorch computes instead.
fn unusable(unusable: &Unusable) -> String {
    let Unusable { gpu, driver, width, height, batch, tokens } = unusable;
    format!(
        "{width}x{height} and larger: gave NaN or infinity in the web UI (batch {batch}, {tokens} tokens; {gpu}, \
         driver {driver})"
    )
}

/// The result of a validation, in several lines.
fn validation(validation: &Validation) -> Vec<String> {
    let mut lines = vec![format!("{}, driver {}", validation.gpu, validation.driver)];
    lines.push(match (&validation.proof, &validation.unproven) {
        (Some(proof), _) => {
            let (error, bound, seconds) =
                (bench::error(proof), proof.bound, validation.proof_seconds);
            format!("error {error} against fp32, limit {bound:.1e}; compared in {seconds:.1} s")
        }
        (None, Some(why)) => format!("not compared with fp32: {why}"),
        (None, None) => "not compared with fp32".to_owned(),
    });
    if let Some(limit) = &validation.limit {
        let Limit { pixels, input } = limit;
        lines.push(format!(
            "used for images up to {pixels} pixels: larger ones give NaN or infinity (found with {input})"
        ));
    } else if validation.calls > 0 {
        let (calls, seconds) = (validation.calls, validation.call_seconds);
        lines.push(format!(
            "finite output in all {calls} calls with hard inputs, in {seconds:.1} s"
        ));
    }
    lines.extend(validation.speeds.iter().map(|speed| {
        let Speed { width, height, batch, tokens, milliseconds, .. } = speed;
        let (preset, per_second) = (bench::preset(speed), bench::per_second(speed));
        format!(
            "{preset}, {width}x{height}, batch {batch}, {tokens} tokens: {milliseconds:.2} ms, \
             {per_second:.1} it/s"
        )
    }));
    lines
}

/// The web UI's comparison, if there was one.
fn accuracy(engine: &Engine) -> String {
    match &engine.proof {
        Some(proof) => {
            format!("error {} against PyTorch, limit {:.1e}", bench::error(proof), proof.bound)
        }
        None if engine.validations.iter().any(|validation| validation.proof.is_some()) => {
            "not compared with PyTorch yet".to_owned()
        }
        None => "unproven: not compared yet".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use protocol::{Proof, State};

    use super::*;

    fn shown(checkpoint: &Checkpoint) -> String {
        render(checkpoint, &[])
    }
    use crate::render::samples;

    #[test]
    fn a_ready_checkpoint_shows_its_engines() {
        insta::assert_snapshot!(shown(&samples::ready()), @r"
        weights id     aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        UNet id        bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
        architecture   sd1
        state          ready
        locations      /models/a/sd15.safetensors
                       /models/copy.safetensors
        engines        1

          engine      eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee
          state       ready
          accuracy    unproven: not compared yet
          path        /data/engines/e.engine
          size        1.7 GB
          serves      default
          weights     inside
          built by    tensorrt-rtx 1.7.1.116
          built for   8.9, 12.0
        ");
    }

    #[test]
    fn an_engine_tells_what_is_special_about_it() {
        let mut checkpoint = samples::ready();
        Arc::make_mut(&mut checkpoint.engines[0]).outdated = Some("recipe 1 → 2".into());
        Arc::make_mut(&mut checkpoint.engines[0]).pinned = true;
        Arc::make_mut(&mut checkpoint.engines[0]).shared = true;
        Arc::make_mut(&mut checkpoint.engines[0]).proof =
            Some(Proof { relative_error: Some(0.0021), bound: 0.02 });
        let rendered = shown(&checkpoint);
        assert!(
            rendered.contains("accuracy    error 2.10e-3 against PyTorch, limit 2.0e-2"),
            "{rendered}"
        );
        let told = "outdated    recipe 1 → 2\n  pinned      yes\n";
        assert!(rendered.contains(told), "{rendered}");
        assert!(rendered.contains("weights     the loaded model's\n"), "{rendered}");
    }

    #[test]
    fn what_was_found_on_each_gpu_is_told() {
        let mut checkpoint = samples::ready();
        let without = Validation {
            proof: None,
            unproven: Some("no ONNX Runtime".into()),
            limit: Some(Limit { pixels: 2_250_000, input: "a constant latent".into() }),
            ..samples::validation()
        };
        Arc::make_mut(&mut checkpoint.engines[0]).validations =
            vec![samples::validation(), Validation { speeds: vec![], ..without }];
        let rendered = shown(&checkpoint);
        assert!(rendered.contains("accuracy    not compared with PyTorch yet\n"), "{rendered}");
        insta::assert_snapshot!(rendered[rendered.find("  validated").unwrap()..], @r"
        validated   NVIDIA H200, driver 580.65.06
                    error 1.02e-2 against fp32, limit 2.0e-2; compared in 6.2 s
                    finite output in all 24 calls with hard inputs, in 1.2 s
                    default, 512x512, batch 2, 77 tokens: 14.04 ms, 71.2 it/s
                    default, 768x768, batch 8, 154 tokens: 103.40 ms, 9.7 it/s
                    NVIDIA H200, driver 580.65.06
                    not compared with fp32: no ONNX Runtime
                    used for images up to 2250000 pixels: larger ones give NaN or infinity (found with a constant latent)
        ");
    }

    #[test]
    fn what_was_measured_beside_pytorch_is_told() {
        let mut checkpoint = samples::ready();
        let slower = Timing { engine_milliseconds: 19.0, ..samples::timing() };
        Arc::make_mut(&mut checkpoint.engines[0]).timings = vec![samples::timing(), slower];
        let rendered = shown(&checkpoint);
        insta::assert_snapshot!(rendered[rendered.find("  beside").unwrap()..], @r"
        beside PyTorch   512x512, batch 2, 77 tokens: 8.96 ms, 2.0 × PyTorch (NVIDIA H200; AUTOMATIC1111, sdp)
                         512x512, batch 2, 77 tokens: 19.00 ms, 0.9 × PyTorch, too slow (NVIDIA H200; AUTOMATIC1111, sdp)
        ");
    }

    #[test]
    fn calls_that_failed_in_the_web_ui_are_told() {
        let mut checkpoint = samples::ready();
        let (width, height, batch, tokens) = (512, 640, 2, 77);
        let (gpu, driver) = ("NVIDIA H200".into(), "580.65.06".into());
        let unusable = Unusable { gpu, driver, width, height, batch, tokens };
        Arc::make_mut(&mut checkpoint.engines[0]).unusable = vec![unusable];
        let told = "512x640 and larger: gave NaN or infinity in the web UI (batch 2, 77 tokens; NVIDIA H200, \
                    driver 580.65.06)\n";
        assert!(shown(&checkpoint).contains(told), "{}", shown(&checkpoint));
    }

    #[test]
    fn what_its_owner_should_know_is_told() {
        let mut checkpoint = samples::ready();
        checkpoint.remarks = ["x.scale is ignored", "A1111 can't load it"].map(Into::into).into();
        let told =
            "remarks        x.scale is ignored\n               A1111 can't load it\nlocations";
        assert!(shown(&checkpoint).contains(told), "{}", shown(&checkpoint));
    }

    #[test]
    fn what_is_to_come_is_told() {
        let mut checkpoint = samples::ready();
        let coming = |presets: &[&str], fixed, state, reason: Option<&str>| Coming {
            presets: presets.iter().map(|preset| (*preset).to_owned()).collect(),
            fixed,
            state,
            reason: reason.map(Into::into),
        };
        let shape = samples::fixed('1').fixed;
        checkpoint.engines = [samples::fixed('1')].map(Arc::new).into();
        checkpoint.coming = vec![
            coming(&["dynamic"], None, State::Building, None),
            coming(&[], shape, State::Queued, Some("next, after aaaaaaaaaaaa")),
        ];
        let rendered = shown(&checkpoint);
        let told =
            "to build       dynamic, building\n               512x768 batch 2, fixed, queued: next";
        assert!(rendered.contains(told), "{rendered}");
        assert!(rendered.contains("  serves      512x768 batch 2, fixed\n"), "{rendered}");
    }

    #[test]
    fn what_is_not_known_is_said() {
        insta::assert_snapshot!(shown(&samples::rejected()), @r"
        weights id     unknown
        UNet id        unknown
        architecture   unknown
        state          rejected
        reason         is a LoRA, which has no UNet of its own
        locations      /models/evil\u{1b}]0;x\u{7}.safetensors
        engines        0
        ");
    }

    #[test]
    fn no_location_is_said() {
        assert!(shown(&samples::orphaned()).contains("locations      none\n"));
    }
}
