//! What the metrics say of a daemon that builds, validates and refuses engines.

use std::fs;

use config::{BuildWhen, EngineKind};
use engine::{Findings, Limit};
use protocol::Request;
use serde_json::json;

use crate::{
    jobs::{Done, Failure},
    samples::findings,
    scenarios::stage::Stage,
};

fn assert_has(stage: &Stage, lines: &[&str]) {
    let text = stage.owners.metrics.text();
    for line in lines {
        assert!(text.lines().any(|found| found == *line), "{line} is not in\n{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn builds_validations_and_refusals_are_counted() {
    let mut stage = Stage::with(1, BuildWhen::Always, EngineKind::Shared, &["a.safetensors"]).await;
    assert_has(
        &stage,
        &[
            "sdtrtd_jobs{task=\"build\"} 1",
            "sdtrtd_checkpoints{state=\"building\"} 1",
            "sdtrtd_paused 0",
            "sdtrtd_problems{what=\"tensorrt\"} 0",
            "sdtrtd_unhashed_files 0",
        ],
    );
    stage.end_build();
    stage.look_if_due().await;
    assert_has(
        &stage,
        &[
            "sdtrtd_builds_total{outcome=\"published\"} 1",
            "sdtrtd_jobs{task=\"build\"} 0",
            "sdtrtd_jobs{task=\"validate\"} 1",
        ],
    );
    let limit = Some(Limit { pixels: 640 * 640, input: "a constant latent".to_owned() });
    stage.end(Ok(Done::Validated(Findings { limit, ..findings(Some(0.3)) })));
    stage.ask(Request::Pause { seconds: None });
    assert_has(
        &stage,
        &[
            "sdtrtd_validations_total{outcome=\"inaccurate\"} 1",
            "sdtrtd_validations_total{outcome=\"accurate\"} 0",
            "sdtrtd_validation_seconds_count 1",
            "sdtrtd_refused_engines{reason=\"inaccurate\"} 1",
            "sdtrtd_refused_engines{reason=\"not_finite\"} 1",
            "sdtrtd_refused_engines{reason=\"slower\"} 0",
            "sdtrtd_refused_engines{reason=\"failed\"} 0",
            "sdtrtd_checkpoints{state=\"failed\"} 1",
            "sdtrtd_paused 1",
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_can_not_be_built_is_counted_as_failed() {
    let mut stage = Stage::with(0, BuildWhen::Always, EngineKind::Shared, &["a.safetensors"]).await;
    stage.end(Err(Failure::Refused("no such layer".to_owned())));
    assert_has(
        &stage,
        &[
            "sdtrtd_builds_total{outcome=\"failed\"} 1",
            "sdtrtd_refused_engines{reason=\"failed\"} 1",
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn the_last_timing_of_each_call_counts_as_long_as_its_engine_is_there() {
    let mut stage = Stage::with(0, BuildWhen::Always, EngineKind::Shared, &["a.safetensors"]).await;
    stage.end_build();
    let engine = stage.owners.library.engines().manifests().keys().next().copied().unwrap();
    let timing = |width, engine, torch| {
        json!({ "gpu": "a GPU", "driver": "1", "torch": "2.11.0", "front_end": "AUTOMATIC1111, sdp",
            "width": width, "height": 512, "batch": 2, "tokens": 77, "engine_milliseconds": engine,
            "torch_milliseconds": torch, "noise_milliseconds": 0.5 })
    };
    let folder = stage.data.path().join("timings");
    fs::create_dir(&folder).unwrap();
    let timings = [timing(512, 30.0, 20.0), timing(512, 10.0, 20.0), timing(768, 25.0, 20.0)];
    let file = json!({ "version": 1, "engine": engine, "timings": timings });
    fs::write(folder.join(format!("{engine}.json")), file.to_string()).unwrap();
    stage.owners.library.record_findings();
    stage.refresh();
    let line = |metric: &str, width, value| {
        let short = engine.short();
        format!(
            "sdtrtd_{metric}{{engine=\"{short}\",gpu=\"a GPU\",front_end=\"AUTOMATIC1111, sdp\",\
             width=\"{width}\",height=\"512\",batch=\"2\",tokens=\"77\"}} {value}"
        )
    };
    let [last, other] = [line("speedup_ratio", 512, "2.0"), line("speedup_ratio", 768, "0.8")];
    let seconds = line("call_seconds", 512, "0.01");
    assert_has(&stage, &[&last, &other, &seconds, "sdtrtd_refused_engines{reason=\"slower\"} 1"]);
    stage.ask(Request::Remove { engine: engine.to_string() });
    assert_has(&stage, &["sdtrtd_refused_engines{reason=\"slower\"} 0"]);
    assert!(!stage.owners.metrics.text().contains("a GPU"), "its figures go with it");
}

#[tokio::test(start_paused = true)]
async fn dashboard_and_alerts_ask_for_metrics_that_there_are() {
    let stage = Stage::with(1, BuildWhen::Always, EngineKind::Shared, &["a.safetensors"]).await;
    let text = stage.owners.metrics.text();
    for asks in [
        include_str!("../../../docs/metrics/dashboard.json"),
        include_str!("../../../docs/metrics/alerts.yml"),
        include_str!("../../../docs/metrics/alerts.test.yml"),
    ] {
        let names = asks.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
        let names = names.filter(|name| name.starts_with("sdtrtd_"));
        for name in names.clone() {
            let family = name.trim_end_matches("_total").trim_end_matches("_bucket");
            assert!(text.contains(&format!("# TYPE {family} ")), "{name} is not in\n{text}");
        }
        assert!(names.count() > 9);
    }
}
