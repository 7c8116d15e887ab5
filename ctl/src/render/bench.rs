//! The engines' speed and accuracy on GPUs.

pub(crate) mod page;

use protocol::{Checkpoint, Id, Proof, Speed, Timing, Validation};
use schemars::JsonSchema;
use serde::Serialize;

use crate::render::{
    look::{Look, Tone},
    table::Table,
};

/// An engine, its validations on GPUs, and its speed beside PyTorch's.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Benched {
    /// The engine's key.
    engine: Id,
    /// Its presets, or the only shape that it serves.
    serves: String,
    /// It contains no weights.
    shared: bool,
    /// Weights ids of the checkpoints that it serves; a shared engine may have many.
    weights_ids: Vec<Id>,
    /// The first one's path; absent if it has no file.
    location: Option<String>,
    /// One for each GPU and driver, newest first.
    validations: Vec<Validation>,
    /// What front ends have measured beside PyTorch, the oldest first.
    timings: Vec<Timing>,
    /// Size of the plan.
    bytes: u64,
}

/// The engines of these checkpoints, each once.
pub(crate) fn engines(checkpoints: &[Checkpoint]) -> Vec<Benched> {
    let mut all: Vec<Benched> = Vec::new();
    for checkpoint in checkpoints {
        for engine in &checkpoint.engines {
            match all.iter_mut().find(|validated| validated.engine == engine.key) {
                Some(validated) => validated.weights_ids.extend(checkpoint.weights_id),
                None => all.push(Benched {
                    engine: engine.key,
                    serves: engine.label(),
                    shared: engine.shared,
                    weights_ids: checkpoint.weights_id.into_iter().collect(),
                    location: checkpoint.locations.first().cloned(),
                    validations: engine.validations.clone(),
                    timings: engine.timings.clone(),
                    bytes: engine.bytes,
                }),
            }
        }
    }
    all
}

/// `look` is the terminal's.
pub(crate) fn render(all: &[Benched], look: Look) -> String {
    let is_new = |benched: &Benched| benched.validations.is_empty() && benched.timings.is_empty();
    if all.iter().all(is_new) {
        return "no engine has been validated on a GPU yet; `sdtrtctl status` shows what is waiting\n"
            .to_owned();
    }
    let mut table = Table::new(&[
        "ENGINE", "PRESET", "SIZE", "BATCH", "TOKENS", "MS", "IT/S", "ERROR", "GPU", "NAME",
    ]);
    for validated in all {
        for validation in &validated.validations {
            add(&mut table, validated, validation);
        }
    }
    let mut beside = Table::new(&[
        "ENGINE",
        "SIZE",
        "BATCH",
        "TOKENS",
        "MS",
        "PYTORCH",
        "×",
        "GPU",
        "FRONT END",
    ]);
    for benched in all {
        benched.timings.iter().for_each(|timing| add_timing(&mut beside, benched, timing));
    }
    match all.iter().any(|benched| !benched.timings.is_empty()) {
        true => format!("{}\nbeside PyTorch\n{}", table.render(look), beside.render(look)),
        false => table.render(look),
    }
}

fn add_timing(table: &mut Table, benched: &Benched, timing: &Timing) {
    let Timing { width, height, batch, tokens, gpu, front_end, .. } = timing;
    table.row(
        [
            benched.engine.short().as_str(),
            &format!("{width}x{height}"),
            &batch.to_string(),
            &tokens.to_string(),
            &format!("{:.2}", timing.engine_milliseconds),
            &format!("{:.2}", timing.torch_milliseconds),
            &format!("{:.1}", timing.gain()),
            gpu,
            front_end,
        ],
        timing.is_slower().then_some("slower than PyTorch, which computes such calls"),
    );
    table.tone(6, if timing.is_slower() { Tone::Warning } else { Tone::Good });
}

fn add(table: &mut Table, validated: &Benched, validation: &Validation) {
    let error = validation.proof.as_ref().map_or_else(|| "-".to_owned(), error);
    let is_bad = validation.proof.as_ref().is_some_and(|proof| !holds(proof));
    let (engine, name) = (validated.engine.short(), name(validated));
    // Without any, what else is known has a line all the same.
    let none = [["-"; 6].map(str::to_owned)];
    let speeds: Vec<_> = validation.speeds.iter().map(speed).collect();
    let lines = if speeds.is_empty() { &none[..] } else { &speeds };
    for (index, [preset, size, batch, tokens, milliseconds, per_second]) in lines.iter().enumerate()
    {
        let cells = [
            engine.as_str(),
            preset,
            size,
            batch,
            tokens,
            milliseconds,
            per_second,
            &error,
            &validation.gpu,
            &name,
        ];
        let unproven = validation.unproven.as_ref().filter(|_| index + 1 == lines.len());
        table.row(cells, unproven.map(|why| format!("not compared: {why}")).as_deref());
        if is_bad {
            table.tone(7, Tone::Bad);
        }
    }
}

fn speed(speed: &Speed) -> [String; 6] {
    [
        preset(speed).to_owned(),
        format!("{}x{}", speed.width, speed.height),
        speed.batch.to_string(),
        speed.tokens.to_string(),
        format!("{:.2}", speed.milliseconds),
        format!("{:.1}", per_second(speed)),
    ]
}

/// The preset that was measured; that of one shape has none.
pub(crate) fn preset(speed: &Speed) -> &str {
    if speed.preset.is_empty() { "fixed" } else { &speed.preset }
}

/// Calls of the UNet in a second, which the web UI calls it/s.
pub(crate) fn per_second(speed: &Speed) -> f64 {
    1000.0 / speed.milliseconds
}

/// How far an engine was off.
pub(crate) fn error(proof: &Proof) -> String {
    proof.relative_error.map_or("not a number".to_owned(), |error| format!("{error:.2e}"))
}

fn holds(proof: &Proof) -> bool {
    proof.relative_error.is_some_and(|error| error <= proof.bound)
}

fn name(validated: &Benched) -> String {
    let first = validated.location.as_deref().and_then(|path| path.rsplit('/').next());
    let id = || validated.weights_ids.first().map(Id::short);
    let first = first.map(str::to_owned).or_else(id).unwrap_or_else(|| "-".to_owned());
    match validated.weights_ids.len() {
        0 | 1 => first,
        several => format!("{first} and {} more", several - 1),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use protocol::Engine;

    use super::*;
    use crate::render::samples;

    #[test]
    fn each_engine_has_a_line_for_each_size() {
        let shared = Engine {
            shared: true,
            validations: vec![samples::validation()],
            ..samples::engine('e')
        };
        let wrong = Validation {
            proof: Some(Proof { relative_error: Some(0.046), bound: 0.02 }),
            speeds: vec![],
            ..samples::validation()
        };
        let unproven =
            Validation { proof: None, unproven: Some("no ONNX Runtime".into()), ..wrong.clone() };
        let baked = Engine { validations: vec![wrong, unproven], ..samples::engine('f') };
        let checkpoints = [
            Checkpoint { engines: [shared.clone()].map(Arc::new).into(), ..samples::ready() },
            Checkpoint { engines: [shared, baked].map(Arc::new).into(), ..samples::orphaned() },
        ];
        let validated = engines(&checkpoints);
        insta::assert_snapshot!(render(&validated, Look::default()), @r"
        ENGINE         PRESET    SIZE      BATCH   TOKENS   MS       IT/S   ERROR     GPU           NAME
        eeeeeeeeeeee   default   512x512   2       77       14.04    71.2   1.02e-2   NVIDIA H200   sd15.safetensors and 1 more
        eeeeeeeeeeee   default   768x768   8       154      103.40   9.7    1.02e-2   NVIDIA H200   sd15.safetensors and 1 more
        ffffffffffff   -         -         -       -        -        -      4.60e-2   NVIDIA H200   aaaaaaaaaaaa
        ffffffffffff   -         -         -       -        -        -      -         NVIDIA H200   aaaaaaaaaaaa
          not compared: no ONNX Runtime
        ");
    }

    #[test]
    fn what_was_measured_beside_pytorch_follows() {
        let slower = Timing { engine_milliseconds: 40.0, ..samples::timing() };
        let engine = Engine { timings: vec![samples::timing(), slower], ..samples::engine('e') };
        let rendered = render(
            &engines(&[Checkpoint { engines: [engine].map(Arc::new).into(), ..samples::ready() }]),
            Look::default(),
        );
        insta::assert_snapshot!(rendered[rendered.find("beside").unwrap()..], @r"
        beside PyTorch
        ENGINE         SIZE      BATCH   TOKENS   MS      PYTORCH   ×     GPU           FRONT END
        eeeeeeeeeeee   512x512   2       77       8.96    17.92     2.0   NVIDIA H200   AUTOMATIC1111, sdp
        eeeeeeeeeeee   512x512   2       77       40.00   17.92     0.4   NVIDIA H200   AUTOMATIC1111, sdp
          slower than PyTorch, which computes such calls
        ");
    }

    #[test]
    fn nothing_says_so() {
        let unvalidated = engines(&[samples::ready()]);
        assert_eq!(unvalidated.len(), 1);
        assert!(render(&unvalidated, Look::default()).starts_with("no engine has been validated"));
    }
}
