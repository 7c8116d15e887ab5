//! The rules of the house, read off the sources: who owns what, and who calls whom.
#![allow(clippy::unwrap_used)] // A source that can't be read fails the test.

use std::{
    fs,
    path::{Path, PathBuf},
};

use walkdir::WalkDir;

/// Each owner and the module that it lives in.
const OWNERS: [(&str, &str); 3] = [("Intent", "intent"), ("Retry", "retry"), ("Jobs", "jobs")];

/// Every source file, by its path below `src`, and its text.
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

/// The top-level module that a file belongs to.
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
        assert!(!fields.contains("pub"), "a field of {owner} is open");
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
    let calls = |text: &str| text.matches(".reconcile()").count();
    let callers: Vec<_> = sources()
        .into_iter()
        .filter(|(_, text)| calls(text) > 0)
        .map(|(path, text)| (path, calls(&text)))
        .collect();
    assert_eq!(callers, [(PathBuf::from("event_loop.rs"), 1)]);
}

#[test]
fn what_is_pure_needs_no_tasks() {
    for (path, text) in sources() {
        if ["planner", "retention"].contains(&module(&path).as_str()) {
            assert!(!text.contains("tokio::test"), "{}", path.display());
        }
    }
}
