//! What keeps engines from being built or used, and what to do about it.

mod folders;
mod gpu;
mod machine;
mod service;
mod webui;
mod wsl;

use std::path::Path;

use serde::Serialize;

use crate::{args::Global, configuration, sdtrtd, webui::around};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// As it should be.
    Ok,
    /// It works, but could be better.
    Warning,
    /// It keeps engines from being built or used.
    Bad,
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub(crate) struct Finding {
    /// What was checked.
    pub(crate) topic: String,
    /// How bad it is.
    pub(crate) verdict: Verdict,
    /// What was found.
    pub(crate) found: String,
    /// What to do.
    pub(crate) advice: Option<String>,
}

impl Finding {
    fn ok(topic: impl Into<String>, found: impl Into<String>) -> Self {
        Self { topic: topic.into(), verdict: Verdict::Ok, found: found.into(), advice: None }
    }

    fn warning(
        topic: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let advice = Some(advice.into());
        Self { topic: topic.into(), verdict: Verdict::Warning, found: found.into(), advice }
    }

    fn bad(topic: impl Into<String>, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { verdict: Verdict::Bad, ..Self::warning(topic, found, advice) }
    }
}

/// Runs every check.
pub(crate) fn examine(global: &Global) -> Vec<Finding> {
    let (configured, loaded) = service::configuration(global);
    let config = loaded.map(|loaded| loaded.config).unwrap_or_default();
    let is_own = configuration::file(global) != Path::new(::config::SYSTEM_FILE);
    let mut findings = vec![configured];
    let probed = sdtrtd::probe(global);
    match &probed {
        Ok(machine) => {
            findings.push(service::program(machine));
            findings.extend(gpu::all(machine, &config));
        }
        Err(error) => findings.push(service::no_program(error)),
    }
    findings.extend(wsl::all(&wsl::Signs::of(Path::new("/")), probed.as_ref().ok(), &config));
    let (running, told) = service::daemon(global);
    findings.extend(told);
    findings.extend(folders::all(&config, is_own));
    findings.extend(machine::all(running));
    let webuis = around(&config.models_dirs);
    for webui in &webuis.found {
        findings.extend(webui::all(webui, &config));
    }
    findings.extend(webuis.unclear.iter().map(webui::unclear));
    findings
}
