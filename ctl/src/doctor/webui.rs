//! A web UI: what keeps it from using engines.

use config::Config;
use serde_json::Value;

use super::Finding;
use crate::{
    exit,
    webui::{Found, FrontEnd},
};

/// As the extension's setting has it.
const NEVER: &str = "never (PyTorch)";

const NVIDIAS: &str = "Stable-Diffusion-WebUI-TensorRT";

/// A possible problem of a web UI.
struct Complaint {
    is_so: bool,
    found: &'static str,
    advice: &'static str,
    is_bad: bool,
}

pub(super) fn all(webui: &Found, config: &Config) -> Vec<Finding> {
    let front_end = webui.folders.front_end;
    let what = if front_end == FrontEnd::A1111 { "web UI" } else { front_end.name() };
    let topic = format!("{what} {}", webui.folders.webui.path.display());
    let complaints = complaints(webui, config);
    let found: Vec<_> = complaints
        .iter()
        .filter(|complaint| complaint.is_so)
        .map(|complaint| match complaint.is_bad {
            true => Finding::bad(&topic, complaint.found, complaint.advice),
            false => Finding::warning(&topic, complaint.found, complaint.advice),
        })
        .collect();
    if found.is_empty() { vec![Finding::ok(topic, "can use engines")] } else { found }
}

/// One whose settings are not understood.
pub(super) fn unclear(error: &anyhow::Error) -> Finding {
    let advice =
        "its folders and flags are not known; list its checkpoints' folder in `models_dirs`";
    Finding::warning("web UI", exit::describe(error), advice)
}

fn complaints(webui: &Found, config: &Config) -> [Complaint; 9] {
    let is_a1111 = webui.folders.front_end == FrontEnd::A1111;
    let is_forge = !is_a1111 && webui.folders.front_end != FrontEnd::ComfyUi;
    let offloads = ["--lowvram", "--novram", "--always-low-vram", "--always-no-vram"];
    let set = |key: &str| &webui.settings[key];
    let is_more_than_0 = |value: &Value| value.as_f64().is_some_and(|number| number > 0.0);
    let has = |name: &str| webui.extensions.contains(name);
    [
        Complaint {
            is_so: is_a1111 && set("sd_unet") == "None",
            found: "SD Unet is set to None",
            advice: "engines are never used: set it to Automatic in Settings, Stable Diffusion",
            is_bad: true,
        },
        Complaint {
            is_so: config.webui_url.is_some()
                && !webui.folders.flags.is_empty()
                && !webui.folders.has_api(),
            found: "it runs without --api, but webui_url is set",
            advice: "add --api to COMMANDLINE_ARGS in webui-user.sh, so that sdtrtd can tell when it is busy",
            is_bad: false,
        },
        Complaint {
            is_so: is_forge && set("sdtrt_engine") == NEVER,
            found: "TensorRT engine is set to never",
            advice: "engines are never used: set it to automatic in Settings, TensorRT",
            is_bad: true,
        },
        Complaint {
            is_so: is_forge && offloads.iter().any(|flag| webui.has_flag(flag)),
            found: "it runs with a flag that keeps the UNet's weights in RAM",
            advice: "they are never all on the GPU, where engines read them, so PyTorch computes: start it without",
            is_bad: false,
        },
        Complaint {
            is_so: is_forge && is_more_than_0(set("token_merging_ratio")),
            found: "token merging is on",
            advice: "no engine does that, so PyTorch computes: set it to 0 for engines to be used",
            is_bad: false,
        },
        Complaint {
            is_so: is_a1111 && webui.has_flag("--lowvram"),
            found: "it runs with --lowvram",
            advice: "the UNet's weights are never all on the GPU, where engines read them, so PyTorch computes; \
                     --medvram needs little more memory, and works with engines",
            is_bad: false,
        },
        Complaint {
            is_so: has(NVIDIAS) && !config.keep_model_json,
            found: "NVIDIA's TensorRT extension is installed, but keep_model_json is off",
            advice: "it loses its engines when checkpoints move; `keep_model_json = true` keeps its \
                     index up to date",
            is_bad: false,
        },
        Complaint {
            // Forge's family has one of its own, and turns this one off.
            is_so: is_a1111 && has("sd-webui-controlnet"),
            found: "ControlNet is installed",
            advice: "engines serve its control nets if a preset has `controlnet = true`; PyTorch computes otherwise",
            is_bad: false,
        },
        Complaint {
            is_so: is_a1111
                && (is_more_than_0(set("token_merging_ratio"))
                    || set("hypertile_enable_unet") == true),
            found: "token merging or Hypertile is on",
            advice: "both change only PyTorch's UNet; they have no effect on engines",
            is_bad: false,
        },
    ]
}

#[cfg(test)]
mod tests {
    use ::config::WebUi;
    use serde_json::json;

    use super::*;
    use crate::{doctor::Verdict, webui::Folders};

    #[test]
    fn each_known_way_of_not_using_engines_is_told() {
        let of = |front_end: FrontEnd, flags: &[&str]| Folders {
            front_end,
            webui: WebUi { path: "/w".into(), models_dirs: vec![] },
            extensions: "/w/extensions".into(),
            data: "/w".into(),
            flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
            settings: "webui-user.sh",
        };
        let any = |front_end, flags: &[&str]| Found {
            folders: of(front_end, flags),
            extensions: [].into(),
            settings: Value::Null,
        };
        let started = |flags: &[&str]| any(FrontEnd::A1111, flags);
        let forge = |settings| Found { settings, ..any(FrontEnd::ForgeNeo, &[]) };
        let plain = started(&[]);
        let with = |settings| Found { settings, ..started(&[]) };
        let extended = |name: &str| Found { extensions: [name.into()].into(), ..started(&[]) };
        let asked = Config { webui_url: Some("http://x".into()), ..Config::default() };
        let config = Config::default();
        for (webui, config, said, verdict) in [
            (&plain, &config, "can use engines", Verdict::Ok),
            (
                &with(json!({"sd_unet": "Automatic", "token_merging_ratio": 0})),
                &config,
                "can use",
                Verdict::Ok,
            ),
            (&with(json!({"sd_unet": "None"})), &config, "SD Unet", Verdict::Bad),
            (
                &with(json!({"token_merging_ratio": 0.4})),
                &config,
                "token merging",
                Verdict::Warning,
            ),
            (&with(json!({"sd_checkpoints_limit": 3})), &config, "can use", Verdict::Ok),
            (&started(&["--medvram"]), &config, "can use", Verdict::Ok),
            (&started(&["--xformers"]), &asked, "without --api", Verdict::Warning),
            (&started(&["--api"]), &asked, "can use", Verdict::Ok),
            (&started(&["--lowvram"]), &config, "--lowvram", Verdict::Warning),
            (&extended(NVIDIAS), &config, "NVIDIA's", Verdict::Warning),
            (&extended("sd-webui-controlnet"), &config, "ControlNet", Verdict::Warning),
            (
                &Found { folders: of(FrontEnd::ReForge, &[]), ..extended("sd-webui-controlnet") },
                &config,
                "can use",
                Verdict::Ok,
            ),
            (&forge(json!({"sd_unet": "None"})), &config, "can use", Verdict::Ok),
            (&forge(json!({"sdtrt_engine": NEVER})), &config, "is set to never", Verdict::Bad),
            (&forge(json!({"token_merging_ratio": 0.4})), &config, "token", Verdict::Warning),
            (&any(FrontEnd::ForgeNeo, &["--lowvram"]), &config, "in RAM", Verdict::Warning),
            (&any(FrontEnd::ReForge, &["--always-no-vram"]), &config, "in RAM", Verdict::Warning),
            (&any(FrontEnd::ComfyUi, &[]), &config, "can use", Verdict::Ok),
        ] {
            let findings = all(webui, config);
            assert_eq!(findings.len(), 1, "{findings:?}");
            assert!(findings[0].found.contains(said), "{findings:?}");
            assert_eq!(findings[0].verdict, verdict, "{said}");
        }
    }
}
