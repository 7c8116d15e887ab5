//! `store …`, `export-engine` and `import-engine`, in folders that are stores.

#![allow(clippy::unwrap_used, reason = "a test stops where its surroundings fail")]

mod common;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use common::{FakeDaemon, Outcome, ctl, id, json, run, utf8};
use engine::{Manifest, Weights, samples};
use protocol::{PullOutcome, Pulled, Reply, Request};
use serde_json::Value;
use tempfile::TempDir;

const MACHINE: &str = "NVIDIA_H200-580.1-1.7.1.116";

/// A machine: its configuration, its engines, and its key once it has one.
struct Machine(TempDir);

impl Machine {
    /// Without a `[store]`.
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        fs::create_dir(machine.at("sdtrt")).unwrap();
        fs::write(machine.configuration(), "models_dirs = ['/m']\n").unwrap();
        machine
    }

    /// With one in this folder.
    fn sharing(store: &Path, mode: &str) -> Self {
        let machine = Self::new();
        let table =
            format!("[store] # ours\nurl = 'file://{}'\nmode = '{mode}'\n", store.display());
        let text = fs::read_to_string(machine.configuration()).unwrap() + &table;
        fs::write(machine.configuration(), text).unwrap();
        machine
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn configuration(&self) -> PathBuf {
        self.at("sdtrt/sdtrtd.toml")
    }

    fn key(&self) -> PathBuf {
        self.at("sdtrt/store.key")
    }

    fn ctl(&self, args: &[&str]) -> Outcome {
        let mut command = ctl(args);
        command.env("XDG_CONFIG_HOME", self.0.path()).env("HOME", self.0.path());
        command.env("XDG_DATA_HOME", self.at("data")).env("XDG_RUNTIME_DIR", self.at("none"));
        run(&mut command)
    }

    /// Makes the key; its public part.
    fn keygen(&self) -> String {
        let made = self.ctl(&["store", "keygen", "--json"]);
        assert_eq!(made.code, Some(0), "{made:?}");
        text(&parsed(&made)["public_key"])
    }

    /// Gives it an engine; its key.
    fn engine(&self, weights: Weights) -> String {
        let manifest = samples::manifest(samples::spec(weights), &["default"], "a");
        self.write(&manifest);
        let cache = self.at("data/sdtrt/kernels").join(MACHINE);
        fs::create_dir_all(&cache).unwrap();
        fs::write(cache.join(format!("{}.cache", manifest.key)), "kernels").unwrap();
        manifest.key.to_string()
    }

    fn write(&self, manifest: &Manifest) {
        let engines = self.at("data/sdtrt/engines");
        fs::create_dir_all(&engines).unwrap();
        let file = |extension| engines.join(format!("{}.{extension}", manifest.key));
        fs::write(file("json"), json(manifest)).unwrap();
        fs::write(file("engine"), "plan").unwrap();
    }
}

fn shared() -> Weights {
    Weights::Shared(samples::signature())
}

fn parsed(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:?}"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// The end of a command that could do nothing, and why.
fn assert_fails(outcome: &Outcome, said: &[&str]) {
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    for said in said {
        assert!(outcome.stderr.contains(said), "{said:?} in {outcome:?}");
    }
}

#[test]
fn a_key_is_made_once_for_its_owner_alone_and_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let machine = Machine::sharing(dir.path(), "read-write");
    let made = machine.ctl(&["store", "keygen"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let public = made.stdout.lines().next().unwrap();
    assert!(public.len() == 56 && public.starts_with("RW"), "{made:?}");
    let secret = fs::read(machine.key()).unwrap();
    let mode = fs::metadata(machine.key()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let configuration = fs::read_to_string(machine.configuration()).unwrap();
    assert!(configuration.contains("[store] # ours"), "{configuration}");
    assert!(configuration.contains(&format!("trusted_keys = [\"{public}\"]")), "{configuration}");
    assert_eq!(machine.ctl(&["config", "check"]).code, Some(0));

    assert_fails(&machine.ctl(&["store", "keygen"]), &["store.key", "never overwritten"]);
    assert_eq!(fs::read(machine.key()).unwrap(), secret);
}

#[test]
fn a_key_without_a_store_says_what_to_write() {
    let machine = Machine::new();
    let made = machine.ctl(&["store", "keygen", "--json"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let made = parsed(&made);
    assert_eq!(made["trusted_in"], Value::Null);
    let problem = text(&made["problem"]);
    let line = format!("trusted_keys = [\"{}\"]", text(&made["public_key"]));
    assert!(problem.contains("no [store] yet") && problem.contains(&line), "{problem}");
}

#[test]
fn another_machines_key_is_trusted_once() {
    let dir = tempfile::tempdir().unwrap();
    let (other, machine) =
        (Machine::sharing(dir.path(), "read-write"), Machine::sharing(dir.path(), "read"));
    let public = other.keygen();
    let trust = |key: &str| machine.ctl(&["store", "trust", key, "--json"]);
    assert_eq!(parsed(&trust(&public))["already_trusted"], false);
    assert_eq!(parsed(&trust(&public))["already_trusted"], true);
    assert_fails(&trust("RWshort"), &["'RWshort' is no public key", "keygen"]);
    assert_fails(&Machine::new().ctl(&["store", "trust", &public]), &["no [store]"]);
}

#[test]
fn what_one_pushes_the_other_sees_once_it_trusts_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let (one, other) =
        (Machine::sharing(dir.path(), "read-write"), Machine::sharing(dir.path(), "read"));
    let (key, public) = (one.engine(shared()), one.keygen());
    let pushed = one.ctl(&["store", "push", "--json"]);
    assert_eq!(pushed.code, Some(0), "{pushed:?}");
    let pushed = parsed(&pushed);
    assert_eq!(
        (&pushed[0]["engine"], &pushed[0]["outcome"]),
        (&key.as_str().into(), &"added".into())
    );
    assert_eq!(pushed[0]["found"], 1, "its kernels");
    assert_eq!(parsed(&one.ctl(&["store", "push", "--json"]))[0]["outcome"], "there");

    let listed = parsed(&one.ctl(&["store", "list", "--json"]));
    let names: Vec<_> = listed.as_array().unwrap().iter().map(|one| text(&one["name"])).collect();
    assert_eq!(names, [format!("engines/{key}.sealed"), format!("kernels/{MACHINE}/{key}.sealed")]);
    assert_eq!(listed[0]["refusal"], Value::Null);
    for whole in [&["store", "verify", "--whole"][..], &["store", "verify"]] {
        assert_eq!(one.ctl(whole).code, Some(0));
    }

    let foreign = parsed(&other.ctl(&["store", "list", "--json"]));
    assert!(text(&foreign[0]["refusal"]).contains("not trusted"), "{foreign}");
    assert_fails(&other.ctl(&["store", "verify"]), &["2 of 2 objects would be refused"]);
    assert_eq!(other.ctl(&["store", "trust", &public]).code, Some(0));
    assert_eq!(other.ctl(&["store", "verify"]).code, Some(0));
}

#[test]
fn what_cannot_be_added_is_named_and_keeps_nothing_else_back() {
    let dir = tempfile::tempdir().unwrap();
    let machine = Machine::sharing(dir.path(), "read-write");
    let key = machine.engine(shared());
    machine.keygen();
    let kernels = machine.at("data/sdtrt/kernels");
    // A copy that somebody made.
    let copy = kernels.join(format!("old-{MACHINE}"));
    fs::create_dir(&copy).unwrap();
    fs::copy(kernels.join(MACHINE).join(format!("{key}.cache")), copy.join(format!("{key}.cache")))
        .unwrap();
    // An engine whose plan is another than it was.
    let mut spec = samples::spec(shared());
    spec.recipe += 1;
    let other = samples::manifest(spec, &["default"], "a");
    machine.write(&other);
    fs::write(machine.at("data/sdtrt/engines").join(format!("{}.engine", other.key)), "pla")
        .unwrap();

    let pushed = machine.ctl(&["store", "push", "--json"]);
    assert_eq!(pushed.code, Some(0), "{pushed:?}");
    let pushed = parsed(&pushed);
    let of =
        |key: &str| pushed.as_array().unwrap().iter().find(|one| one["engine"] == key).unwrap();
    let (good, bad) = (of(&key), of(&other.key.to_string()));
    assert_eq!((&good["outcome"], &good["found"]), (&"added".into(), &1.into()), "{good}");
    let reason = text(&good["reason"]);
    assert!(reason.contains("kernels/old-") && reason.contains("is not named by"), "{reason}");
    assert_eq!(bad["outcome"], "left", "{bad}");
    assert!(text(&bad["reason"]).contains(".engine"), "{bad}");
}

#[test]
fn what_is_damaged_is_found_by_reading_it() {
    let dir = tempfile::tempdir().unwrap();
    let machine = Machine::sharing(dir.path(), "read-write");
    machine.engine(shared());
    machine.keygen();
    assert_eq!(machine.ctl(&["store", "push"]).code, Some(0));
    for blob in fs::read_dir(dir.path().join("v1/blobs")).unwrap() {
        let blob = blob.unwrap().path();
        let mut bytes = fs::read(&blob).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(&blob, bytes).unwrap();
    }
    assert_eq!(machine.ctl(&["store", "verify"]).code, Some(0), "names and sizes are right");
    assert_fails(&machine.ctl(&["store", "verify", "--whole"]), &["would be refused"]);
}

#[test]
fn who_may_not_or_cannot_add_is_told_why() {
    let dir = tempfile::tempdir().unwrap();
    let machine = Machine::new();
    machine.engine(shared());
    assert_fails(&machine.ctl(&["store", "push"]), &["no [store] in", "docs/store.md"]);
    assert_fails(&machine.ctl(&["store", "list"]), &["no [store] in"]);
    let stick = dir.path().join("stick");
    let exported = machine.ctl(&["export-engine", &machine.engine(shared())[..12], utf8(&stick)]);
    assert_fails(&exported, &["no key to sign with", "`sdtrtctl store keygen` makes one"]);
    assert!(!stick.exists());

    let reading = Machine::sharing(dir.path(), "read");
    reading.engine(shared());
    reading.keygen();
    assert_fails(&reading.ctl(&["store", "push"]), &["mode = \"read\"", "read-write"]);
    assert_fails(&reading.ctl(&["store", "gc"]), &["mode = \"read\""]);
    let without = Machine::sharing(dir.path(), "read-write");
    assert_fails(&without.ctl(&["store", "push"]), &["no key to sign with"]);
    without.keygen();
    assert_fails(&without.ctl(&["store", "push"]), &["there are no engines in"]);
    fs::set_permissions(without.key(), fs::Permissions::from_mode(0o644)).unwrap();
    without.engine(shared());
    assert_fails(&without.ctl(&["store", "push"]), &["store.key"]);
}

#[test]
fn an_engine_goes_into_a_folder_by_its_key_and_weights_stay() {
    let dir = tempfile::tempdir().unwrap();
    let machine = Machine::new();
    let key = machine.engine(shared());
    let baked = machine.engine(Weights::Baked(id("ab")));
    machine.keygen();
    let stick = dir.path().join("a stick/sdtrt");
    let export = |start: &str| machine.ctl(&["export-engine", start, utf8(&stick), "--json"]);
    let exported = export(&key[..12]);
    assert_eq!(exported.code, Some(0), "{exported:?}");
    assert_eq!(parsed(&exported).as_array().unwrap().len(), 1);
    assert!(stick.join(format!("v1/engines/{key}.sealed")).is_file());

    let left = export(&baked[..12]);
    assert_fails(&left, &["nothing was copied"]);
    assert!(left.stdout.contains("never shared"), "{left:?}");
    assert!(!stick.join(format!("v1/engines/{baked}.sealed")).exists());
    let unknown = export("0000000000");
    assert_eq!(unknown.code, Some(3), "only the daemon knows checkpoints");
    assert!(unknown.stderr.contains("no engine's key begins with '0000000000'"), "{unknown:?}");
}

#[test]
fn the_daemon_takes_engines_in() {
    let dir = tempfile::tempdir().unwrap();
    let stick = dir.path().join("a stick");
    fs::create_dir_all(stick.join("v1")).unwrap();
    let pulled = |outcome, reason: Option<&str>| Pulled {
        engine: id("ef"),
        label: "sd1, default".to_owned(),
        outcome,
        reason: reason.map(str::to_owned),
    };
    let url = format!("file://{}/a%20stick/", utf8(dir.path()));
    let pull = |url: Option<&str>, engines: &[&str]| Request::Pull {
        url: url.map(str::to_owned),
        engines: engines.iter().map(|&key| key.to_owned()).collect(),
    };
    for (args, request) in [
        (vec!["import-engine", utf8(&stick)], pull(Some(&url), &[])),
        (vec!["import-engine", utf8(&stick), "--engine", "efef"], pull(Some(&url), &["efef"])),
        (vec!["store", "pull"], pull(None, &[])),
        (vec!["store", "pull", "efef", "abab"], pull(None, &["efef", "abab"])),
    ] {
        let daemon = FakeDaemon::replying([Reply::Pulled(vec![pulled(PullOutcome::Taken, None)])]);
        let taken = daemon.ctl(&args);
        assert_eq!(taken.code, Some(0), "{taken:?}");
        assert!(taken.stdout.contains("taken"), "{taken:?}");
        assert_eq!(daemon.requests(), [request]);
    }
    let refused = pulled(PullOutcome::Refused, Some("it is not signed"));
    let daemon = FakeDaemon::replying([Reply::Pulled(vec![refused.clone()])]);
    let refusing = daemon.ctl(&["store", "pull", "--json"]);
    assert_fails(&refusing, &["1 of 1 engine refused"]);
    assert_eq!(refusing.stdout.trim_end(), json(&[refused]));

    let machine = Machine::new();
    fs::create_dir(dir.path().join("empty")).unwrap();
    let import = |name: &str| machine.ctl(&["import-engine", utf8(&dir.path().join(name))]);
    assert_fails(&import("empty"), &["is no store"]);
    assert_fails(&import("none"), &["is no folder", "export-engine"]);
    assert_eq!(import("a stick").code, Some(3), "there is no daemon");
}

#[test]
fn old_engines_go_if_that_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let machine = Machine::sharing(dir.path(), "read-write");
    let key = machine.engine(shared());
    machine.keygen();
    assert_eq!(machine.ctl(&["store", "push"]).code, Some(0));
    let gone = machine.ctl(&["store", "gc"]);
    assert_eq!((gone.code, gone.stdout.as_str()), (Some(0), "nothing to delete\n"), "{gone:?}");
    assert!(dir.path().join(format!("v1/engines/{key}.sealed")).is_file());
    assert_eq!(machine.ctl(&["store", "gc", "--older-than", "soon"]).code, Some(2));
}
