use std::fs;

use checkpoint::Id;
use config::{BuildWhen, EngineKind, Prefer};
use engine::{Findings, Limit};
use protocol::{Image, State};
use serde_json::{Value, json};

use crate::{api::coverage::coverage, jobs::Done, samples::findings, scenarios::stage::Stage};

#[tokio::test(start_paused = true)]
async fn an_engine_is_not_used_above_its_limit_or_where_it_failed_in_the_web_ui() {
    let mut stage = Stage::with(1, BuildWhen::Always, EngineKind::Shared, &["a.safetensors"]).await;
    stage.end_build();
    stage.look_if_due().await;
    let limit = Some(Limit { pixels: 640 * 640, input: "a constant latent".to_owned() });
    stage.end(Ok(Done::Validated(Findings { limit, ..findings(Some(0.01)) })));
    assert_eq!(stage.shown().0, State::Ready, "what is within serves");
    let engine = stage.owners.library.engines().manifests().keys().next().copied().unwrap();
    let problem = |stage: &Stage, width, height| {
        let image = Image { width, height, batch: 1, tokens: 75, ..Image::default() };
        let held = stage.owners.inventory.catalogue().held();
        let shown = coverage(&stage.owners.snapshot(), held.values().next().unwrap(), &image);
        let [pass] = &shown.passes[..] else { panic!("{shown:?}") };
        assert_eq!(pass.engine.is_some(), pass.problem.is_none());
        pass.problem.clone()
    };
    assert_eq!(problem(&stage, 640, 640), None);
    let beyond = problem(&stage, 704, 640).unwrap();
    let short = engine.short();
    let expected = format!(
        "engine {short} gives NaN or infinity on a GPU for images of more than 409600 pixels (found with a constant \
         latent); PyTorch computes it"
    );
    assert_eq!(beyond, expected);
    let index = fs::read(stage.data.path().join("index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    let limits = &index["signatures"][0]["engines"][0]["limits"];
    assert_eq!(*limits, json!([{ "gpu": "a GPU", "pixels": 640 * 640 }]));

    let folder = stage.data.path().join("unusable");
    fs::create_dir(&folder).unwrap();
    let unet = Id::from(blake3::hash(b"a.safetensors"));
    let size = |driver: &str, height| {
        json!({ "gpu": "a GPU", "driver": driver, "width": 512, "height": height, "batch": 2,
            "tokens": 77, "time": 1 })
    };
    let file = json!({ "version": 1, "engine": engine, "unet": unet,
        "sizes": [size("another", 512), size("1", 640)] });
    fs::write(folder.join(format!("{engine}-0.json")), file.to_string()).unwrap();
    stage.owners.library.record_findings();
    stage.refresh();
    assert_eq!(problem(&stage, 512, 576), None);
    assert!(problem(&stage, 640, 512).unwrap().contains("at 512x640 with this checkpoint"));
    let entry = stage.list().values().next().unwrap();
    assert_eq!(entry.engines[0].unusable.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn where_pytorch_was_measured_to_be_faster_it_computes_unless_engines_are_preferred() {
    let mut stage = Stage::with(1, BuildWhen::Always, EngineKind::Shared, &["a.safetensors"]).await;
    stage.end_build();
    stage.look_if_due().await;
    stage.end(Ok(Done::Validated(findings(Some(0.01)))));
    let engine = stage.owners.library.engines().manifests().keys().next().copied().unwrap();
    let folder = stage.data.path().join("timings");
    fs::create_dir(&folder).unwrap();
    let timing = |driver: &str, width, batch, engine, torch| {
        json!({ "gpu": "a GPU", "driver": driver, "torch": "2.11.0", "front_end": "AUTOMATIC1111, sdp",
            "width": width, "height": 512, "batch": batch, "tokens": 77, "engine_milliseconds": engine,
            "torch_milliseconds": torch, "noise_milliseconds": 0.5 })
    };
    let timings = [
        timing("1", 512, 2, 9.0, 18.0),
        timing("1", 512, 4, 15.0, 30.0),
        timing("1", 576, 2, 20.0, 18.0),
        timing("1", 640, 2, 18.4, 18.0),
        timing("another", 704, 2, 20.0, 18.0),
    ];
    let file = json!({ "version": 1, "engine": engine, "timings": timings });
    fs::write(folder.join(format!("{engine}.json")), file.to_string()).unwrap();
    stage.owners.library.record_findings();
    stage.refresh();
    let pass = |stage: &Stage, width, batch| {
        let image = Image { width, height: 512, batch, tokens: 75, ..Image::default() };
        let held = stage.owners.inventory.catalogue().held();
        let shown = coverage(&stage.owners.snapshot(), held.values().next().unwrap(), &image);
        shown.passes[0].clone()
    };
    let measured = pass(&stage, 512, 1);
    assert_eq!((measured.milliseconds, measured.torch_milliseconds), (Some(9.0), Some(18.0)));
    assert_eq!(measured.single_milliseconds, None);
    assert_eq!(pass(&stage, 512, 2).single_milliseconds, Some(9.0));
    let slower = pass(&stage, 576, 1);
    assert_eq!(slower.engine, None);
    let told = "a call takes 18.0 ms on a GPU (AUTOMATIC1111, sdp), and 20.0 ms by engine";
    assert!(slower.problem.as_ref().unwrap().contains(told), "{slower:?}");
    for (width, what) in [(640, "within the noise"), (704, "with another driver")] {
        assert_eq!(pass(&stage, width, 1).engine, Some(engine), "{what}");
    }
    stage.owners.config.prefer = Prefer::Engine;
    assert_eq!(pass(&stage, 576, 1).engine, Some(engine));
    assert_eq!(stage.list().values().next().unwrap().engines[0].timings.len(), 5);
}
