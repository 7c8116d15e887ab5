//! The architecture's rules, checked in the sources: who owns what, and who calls whom.
#![allow(clippy::unwrap_used)] // A source that can't be read fails the test.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use walkdir::WalkDir;

/// Each owner and its module.
const OWNERS: [(&str, &str); 9] = [
    ("Inventory", "inventory"),
    ("EngineLibrary", "library"),
    ("Intent", "intent"),
    ("Retry", "retry"),
    ("Gate", "gate"),
    ("Jobs", "jobs"),
    ("Publisher", "publish"),
    ("Clients", "api"),
    ("DesiredEngines", "planner"),
];

/// Returns every source file's text, by its path below `src`.
fn sources() -> Vec<(PathBuf, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = WalkDir::new(&src).into_iter().map(|entry| entry.unwrap().into_path());
    let rust = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    rust.map(|path| {
        let text = fs::read_to_string(&path).unwrap();
        (path.strip_prefix(&src).unwrap().to_owned(), text)
    })
    .collect()
}

/// Returns the top-level module of a file.
fn module(path: &Path) -> String {
    let first = path.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn only_an_owner_changes_what_it_owns() {
    let sources = sources();
    for (owner, home) in OWNERS {
        let definition = format!("struct {owner} {{");
        let defined = sources.iter().filter(|(_, text)| text.contains(&definition));
        let [(path, text)] = defined.collect::<Vec<_>>()[..] else { panic!("{owner}") };
        assert_eq!(module(path), home, "{owner}");
        let fields = text.split_once(&definition).unwrap().1;
        let fields = fields.split_once("\n}").unwrap().0;
        let is_visible = fields.lines().any(|line| line.trim_start().starts_with("pub"));
        assert!(!is_visible, "a field of {owner} is visible outside");
        for (path, text) in &sources {
            let implements = text.lines().any(|line| {
                line.strip_prefix("impl").is_some_and(|rest| {
                    rest.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == owner)
                })
            });
            assert!(!implements || module(path) == home, "impl {owner} in {}", path.display());
        }
    }
}

#[test]
fn reconcile_has_one_caller() {
    let call = |line: &str| line.contains("reconcile(") && !line.contains("fn reconcile(");
    let callers = sources().into_iter().filter_map(|(path, text)| {
        let calls = text.lines().filter(|line| call(line)).count();
        // The index of the web UI's extension has its own step.
        (calls > 0 && !path.starts_with("publish/model_json")).then_some((path, calls))
    });
    assert_eq!(callers.collect::<Vec<_>>(), [(PathBuf::from("event_loop.rs"), 1)]);
}

/// Returns the top-level modules that each one uses, outside of tests.
fn uses() -> BTreeMap<String, BTreeSet<String>> {
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in sources() {
        let module = module(&path);
        let is_test = ["scenarios", "samples"].contains(&module.as_str())
            || path.iter().any(|part| part == "tests.rs" || part == "golden.rs");
        if is_test {
            continue;
        }
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        for used in code.split("crate::").skip(1) {
            let names = match used.strip_prefix('{') {
                None => vec![used],
                Some(group) => first_level(group),
            };
            let name = |path: &str| {
                path.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap().to_owned()
            };
            let names = names.into_iter().map(name).filter(|name| *name != module);
            uses.entry(module.clone()).or_default().extend(names);
        }
    }
    uses
}

/// Returns the parts of a group in a `use`, without those of nested groups.
fn first_level(group: &str) -> Vec<&str> {
    let (mut depth, mut begin, mut parts) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                parts.push(group[begin..at].trim());
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(group[begin..at].trim());
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts
}

#[test]
fn modules_have_no_cycles() {
    let uses = uses();
    assert!(uses["event_loop"].contains("planner") && uses["planner"].contains("gate"), "{uses:?}");
    for module in uses.keys() {
        let mut reached = BTreeSet::new();
        let mut next: Vec<&String> = uses[module].iter().collect();
        while let Some(used) = next.pop() {
            if reached.insert(used) {
                next.extend(uses.get(used).into_iter().flatten());
            }
        }
        assert!(!reached.contains(module), "{module} uses {:?}", uses[module]);
    }
}

#[test]
fn pure_modules_need_no_tasks() {
    for (path, text) in sources() {
        if ["planner", "retention"].contains(&module(&path).as_str()) {
            assert!(!text.contains("tokio::test"), "{}", path.display());
        }
    }
}
