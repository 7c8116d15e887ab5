//! What each command prints with `--json`, as JSON Schema.

use anyhow::Result;
use protocol::{
    Checkpoint, CheckpointVerdict, Coverage, Disk, Engine, Event, ExtensionIndex, FileNames,
    Finished, Garbage, JobLog, Materialized, Pulled, Reloaded, Status, Verdict,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{config, export, identify, install, query, setup, snapshot, store, webui};
use crate::{doctor::Finding, output, render::bench::Benched};

pub(super) fn run() -> Result<()> {
    output::say(&format!("{}\n", serde_json::to_string_pretty(&document())?))
}

/// One schema by command; what several share is in `$defs`.
fn document() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let commands: Map<String, Value> = commands(&mut generator)
        .into_iter()
        .flat_map(|(names, schema)| {
            names.split(", ").map(move |name| (name.to_owned(), schema.clone().into()))
        })
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What sdtrtctl prints with --json, by command",
        "type": "object",
        "properties": commands,
        "$defs": generator.take_definitions(true),
    })
}

fn commands(generator: &mut SchemaGenerator) -> Vec<(&'static str, Schema)> {
    fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T>()
    }
    vec![
        ("status, pause, resume", of::<Status>(generator)),
        ("list, wait", of::<Vec<Checkpoint>>(generator)),
        ("list --hashes", of::<Vec<FileNames>>(generator)),
        ("show", of::<query::Shown>(generator)),
        ("build, retry", of::<Checkpoint>(generator)),
        ("check", of::<Vec<Coverage>>(generator)),
        ("bench", of::<Vec<Benched>>(generator)),
        ("materialize", of::<Materialized>(generator)),
        ("remove", of::<query::Removal>(generator)),
        ("watch", of::<Event>(generator)),
        ("log", of::<JobLog>(generator)),
        ("history", of::<Vec<Finished>>(generator)),
        ("verify", of::<Vec<Verdict>>(generator)),
        ("verify --checkpoints", of::<Vec<CheckpointVerdict>>(generator)),
        ("disk", of::<Disk>(generator)),
        ("pin, unpin", of::<Vec<Engine>>(generator)),
        ("gc", of::<Vec<Garbage>>(generator)),
        ("reload", of::<Reloaded>(generator)),
        ("doctor", of::<Vec<Finding>>(generator)),
        ("setup", of::<setup::Done>(generator)),
        ("config check", of::<config::Checked>(generator)),
        ("config edit", of::<config::Edited>(generator)),
        ("config show", of::<Vec<config::Entry>>(generator)),
        ("snapshot", of::<snapshot::Written>(generator)),
        ("identify", of::<identify::Identity>(generator)),
        ("export", of::<export::Exported>(generator)),
        ("store keygen", of::<store::KeyMade>(generator)),
        ("store trust", of::<store::KeyTrusted>(generator)),
        ("store push, export-engine", of::<Vec<store::Shared>>(generator)),
        ("store pull, import-engine", of::<Vec<Pulled>>(generator)),
        ("store list", of::<Vec<store::Stored>>(generator)),
        ("store verify", of::<Vec<store::StoredVerdict>>(generator)),
        ("store gc", of::<Vec<store::StoredGarbage>>(generator)),
        ("webui status", of::<Vec<ExtensionIndex>>(generator)),
        ("webui install", of::<webui::WebuiInstalled>(generator)),
        ("webui uninstall", of::<webui::WebuiRemoved>(generator)),
        ("runtime install", of::<install::RuntimeInstalled>(generator)),
    ]
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::args::Args;

    fn names(command: &clap::Command, path: &str, found: &mut Vec<String>) {
        for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
            let path = format!("{path} {}", below.get_name()).trim_start().to_owned();
            match below.has_subcommands() {
                true => names(below, &path, found),
                false => found.push(path),
            }
        }
    }

    #[test]
    fn every_command_that_answers_has_a_schema() {
        let document = document();
        let mut commands = Vec::new();
        names(&Args::command(), "", &mut commands);
        // What these print is for a shell, or is this very document.
        commands.retain(|name| !["completions", "schema"].contains(&name.as_str()));
        for command in commands {
            assert!(document["properties"][&command].is_object(), "{command}");
        }
        assert!(document["$defs"]["Checkpoint"]["properties"]["weights_id"].is_object());
    }
}
