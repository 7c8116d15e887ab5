//! The rules of the house that hold for every crate: no source file is long, and no name is two types of one crate.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::process;

/// Lines that a source file has at most.
const LONGEST: usize = 350;

const SOURCES: [&str; 5] = ["*.rs", "*.py", "*.js", "*.css", "*.sh"];

pub(super) fn run() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut git = Command::new("git");
    let listed = process::output(git.arg("ls-files").arg("--").args(SOURCES).current_dir(&root))?;
    let mut sources = Vec::new();
    for path in listed.lines() {
        let text = fs::read_to_string(root.join(path)).with_context(|| path.to_owned())?;
        sources.push((path.to_owned(), text));
    }
    let long = long(&sources);
    ensure!(long.is_empty(), "over {LONGEST} lines, and so more than one job: {}", long.join(", "));
    let doubled = doubled(&sources);
    ensure!(doubled.is_empty(), "a name for two types of one crate: {}", doubled.join(", "));
    Ok(())
}

fn long(sources: &[(String, String)]) -> Vec<String> {
    let lines = |text: &str| text.lines().count();
    let long = sources.iter().filter(|(_, text)| lines(text) > LONGEST);
    long.map(|(path, text)| format!("{path} ({})", lines(text))).collect()
}

/// The names that more than one file of a crate defines a type by, tests left out, as `crate: name`.
fn doubled(sources: &[(String, String)]) -> Vec<String> {
    let mut defined: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for (path, text) in sources {
        // What `main.rs` of a crate with a library defines is another crate's.
        let Some((krate, file)) = path.split_once("/src/").filter(|_| path.ends_with(".rs")) else {
            continue;
        };
        let is_test = ["tests", "golden", "scenarios"].iter().any(|part| file.contains(part));
        if is_test || file == "main.rs" {
            continue;
        }
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        for name in code.lines().filter_map(type_defined) {
            defined.entry(format!("{krate}: {name}")).or_default().insert(path);
        }
    }
    defined.into_iter().filter(|(_, files)| files.len() > 1).map(|(name, _)| name).collect()
}

/// The name of the type that a line at the top of a file begins to define.
fn type_defined(line: &str) -> Option<&str> {
    let line = match line.strip_prefix("pub(") {
        Some(restricted) => restricted.split_once(") ")?.1,
        None => line.strip_prefix("pub ").unwrap_or(line),
    };
    let (kind, rest) = line.split_once(' ')?;
    let is_type = ["struct", "enum", "trait", "type", "union"].contains(&kind);
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    is_type.then(|| &rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> (String, String) {
        (path.to_owned(), text.to_owned())
    }

    #[test]
    fn long_files_are_named() {
        let sources =
            [source("a.rs", &"\n".repeat(LONGEST)), source("b.py", &"\n".repeat(LONGEST + 1))];
        assert_eq!(long(&sources), ["b.py (351)"]);
    }

    #[test]
    fn a_name_is_one_type_of_a_crate() {
        let sources = [
            source("one/src/a.rs", "pub(crate) struct Twice<'a>(&'a str);\nenum Once {}\n"),
            source(
                "one/src/b.rs",
                "type Twice = u8;\n#[cfg(test)]\nmod tests {\n}\nstruct Once;\n",
            ),
            source("one/src/main.rs", "struct Once;\n"),
            source("one/src/tests.rs", "struct Once;\n"),
            source("two/src/a.rs", "pub trait Once {}\n    struct Twice;\nfn enum_like() {}\n"),
        ];
        assert_eq!(doubled(&sources), ["one: Twice"]);
    }
}
