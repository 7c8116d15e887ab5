//! The same as a page with plots, which people can post.

use std::collections::BTreeSet;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use protocol::{Proof, Timing};

use super::{Benched, error, holds, name, per_second, preset};
use crate::render::text;

const STYLE: &str = "
:root { color-scheme: light dark; --engine: #2a9d4a; --torch: #8a8f98; --bad: #c8402f; --rule: #8884; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
.plot { width: 55%; }
.figure { white-space: nowrap; }
.bar { height: .8rem; border-radius: 2px; margin: .15rem 0; background: var(--engine); }
.torch { background: var(--torch); }
.bad { background: var(--bad); }
small { opacity: .75; }
";

/// The share of the width that the longest bar takes.
const WHOLE: f64 = 100.0;

/// A page with everything in it.
pub(crate) fn render(all: &[Benched]) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "sdtrt: engines beside PyTorch" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Engines beside PyTorch" }
                p { "Measured by sdtrt " (env!("CARGO_PKG_VERSION")) " on " (gpus(all)) "." }
                (timings(all))
                (speeds(all))
                (errors(all))
                (disk(all))
            }
        }
    };
    page.into_string()
}

/// Every GPU that anything was measured on.
fn gpus(all: &[Benched]) -> String {
    let validated = all.iter().flat_map(|benched| &benched.validations);
    let timed = all.iter().flat_map(|benched| &benched.timings);
    let validated = validated.map(|found| (found.gpu.as_str(), found.driver.as_str()));
    let found = validated.chain(timed.map(|timing| (timing.gpu.as_str(), timing.driver.as_str())));
    let names: BTreeSet<_> =
        found.map(|(gpu, driver)| format!("{gpu} (driver {driver})")).collect();
    if names.is_empty() {
        return "no GPU yet".to_owned();
    }
    names.into_iter().collect::<Vec<_>>().join(", ")
}

fn timings(all: &[Benched]) -> Markup {
    let mut rows: Vec<_> = all
        .iter()
        .flat_map(|benched| benched.timings.iter().map(move |timing| (benched, timing)))
        .collect();
    rows.sort_by_key(|(_, Timing { gpu, width, height, batch, tokens, .. })| {
        (gpu.clone(), width * height, *batch, *tokens)
    });
    let slowest = rows
        .iter()
        .map(|(_, timing)| timing.torch_milliseconds.max(timing.engine_milliseconds))
        .fold(0.0, f64::max);
    html! {
        h2 { "Time of one call, as the web UI runs it" }
        @if rows.is_empty() {
            p { "Nothing was measured in a web UI yet: that happens at the second call of each kind." }
        } @else {
            p { small { "Shorter is faster. Green is the engine, grey PyTorch." } }
            table {
                @for (benched, timing) in rows {
                    tr {
                        td {
                            (timing.width) "×" (timing.height) ", batch " (timing.batch) ", " (timing.tokens) " tokens"
                            br; small { (benched.serves) "; " (timing.gpu) "; " (timing.front_end) }
                        }
                        td class="plot" {
                            (bar(timing.engine_milliseconds / slowest, if timing.is_slower() { "bar bad" } else { "bar" }))
                            (bar(timing.torch_milliseconds / slowest, "bar torch"))
                        }
                        td class="figure" {
                            (format!("{:.2} ms", timing.engine_milliseconds)) br;
                            (format!("{:.2} ms", timing.torch_milliseconds))
                        }
                        td class="figure" { strong { (format!("{:.1} ×", timing.gain())) } }
                    }
                }
            }
        }
    }
}

fn speeds(all: &[Benched]) -> Markup {
    let rows: Vec<_> = all
        .iter()
        .flat_map(|benched| benched.validations.iter().map(move |found| (benched, found)))
        .flat_map(|(benched, found)| found.speeds.iter().map(move |speed| (benched, found, speed)))
        .collect();
    let fastest = rows.iter().map(|(.., speed)| per_second(speed)).fold(0.0, f64::max);
    html! {
        h2 { "Calls a second by size, as validated" }
        @if rows.is_empty() { p { "No engine was validated on a GPU yet." } }
        table {
            @for (benched, found, speed) in rows {
                tr {
                    td {
                        (speed.width) "×" (speed.height) ", batch " (speed.batch) ", " (speed.tokens) " tokens"
                        br; small { (name(benched)) "; " (preset(speed)) "; " (found.gpu) }
                    }
                    td class="plot" { (bar(per_second(speed) / fastest, "bar")) }
                    td class="figure" { (format!("{:.1} it/s", per_second(speed))) }
                }
            }
        }
    }
}

fn errors(all: &[Benched]) -> Markup {
    let proofs = |benched: &Benched| {
        let found = benched.validations.iter();
        found.filter_map(|found| Some((found.gpu.clone(), found.proof?))).collect::<Vec<_>>()
    };
    // The bar's end is the bound.
    let share = |proof: &Proof| proof.relative_error.map_or(1.0, |error| error / proof.bound);
    html! {
        h2 { "Error against fp32" }
        p { small { "A whole bar is the bound past which an engine is not used." } }
        table {
            @for benched in all {
                @for (gpu, proof) in proofs(benched) {
                    tr {
                        td { (name(benched)) br; small { (benched.serves) "; " (gpu) } }
                        td class="plot" { (bar(share(&proof), if holds(&proof) { "bar" } else { "bar bad" })) }
                        td { (error(&proof)) }
                    }
                }
            }
        }
    }
}

fn disk(all: &[Benched]) -> Markup {
    let sum: u64 = all.iter().map(|benched| benched.bytes).sum();
    html! {
        h2 { "Disk" }
        p { (text::count(all.len(), "engine")) ", " (text::size(sum)) " in all." }
        table {
            @for benched in all {
                tr {
                    td { (benched.serves) br; small { (benched.engine.short()) } }
                    td { (text::size(benched.bytes)) }
                    td {
                        @if benched.shared {
                            "without weights, for " (text::count(benched.weights_ids.len(), "checkpoint"))
                        } @else { "with the weights of one checkpoint" }
                    }
                }
            }
        }
    }
}

fn bar(share: f64, class: &str) -> Markup {
    let width = share.clamp(0.0, 1.0) * WHOLE;
    html! { div class=(class) style=(format!("width: {width:.1}%")) {} }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use protocol::{Checkpoint, Engine, Timing};

    use super::*;
    use crate::render::{bench::engines, samples};

    fn page(timings: Vec<Timing>) -> String {
        let engine = Engine {
            shared: true,
            validations: vec![samples::validation()],
            timings,
            presets: vec!["<default>".into()],
            ..samples::engine('e')
        };
        render(&engines(&[Checkpoint {
            engines: [engine].map(Arc::new).into(),
            ..samples::ready()
        }]))
    }

    #[test]
    fn what_was_measured_is_on_the_page_and_nothing_is_fetched() {
        let slower =
            Timing { width: 1024, height: 1024, engine_milliseconds: 40.0, ..samples::timing() };
        let page = page(vec![slower, samples::timing()]);
        for told in [
            "512×512, batch 2, 77 tokens",
            "8.96 ms",
            "2.0 ×",
            "bar bad",
            "71.2 it/s",
            "1.02e-2",
            "NVIDIA H200 (driver 580.65.06)",
            "&lt;default&gt;",
            "without weights, for 1 checkpoint",
        ] {
            assert!(page.contains(told), "{told} in {page}");
        }
        assert!(page.find("512×512, batch 2, 77").unwrap() < page.find("1024×1024").unwrap());
        for outside in ["http://", "https://", "src=", "href="] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn nothing_measured_is_said() {
        let page = render(&engines(&[samples::ready()]));
        assert!(page.contains("no GPU yet") && page.contains("second call of each kind"), "{page}");
    }
}
