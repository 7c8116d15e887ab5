//! Checks that the documentation is about what is there: its links lead to files and headings, and what it quotes as
//! messages, the programs can say.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::process;

/// Has a message in the first cell of each row.
const MESSAGES: &str = "docs/troubleshooting.md";

/// What others say: the kernel, the driver, TensorRT; and what a placeholder stands for.
const OF_OTHERS: [&str; 6] = [
    "Permission denied",
    "by /sys/fs/cgroup/",
    "CUDA initialization failure",
    "driver version is insufficient",
    "The engine cannot run on this GPU",
    "torch.nn.modules.linear.Linear.forward",
];

/// A shorter part of a message says nothing.
const LEAST: usize = 8;

pub(super) fn run() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let texts = read(&root, &["*.md"])?;
    let broken = broken(&texts, &|path| root.join(path).exists());
    ensure!(broken.is_empty(), "links that lead nowhere: {}", broken.join(", "));
    let sources: String =
        read(&root, &["*.rs", "*.py"])?.values().map(|text| joined(text)).collect();
    let messages = texts.get(Path::new(MESSAGES)).with_context(|| MESSAGES.to_owned())?;
    let unknown = unknown(messages, &sources);
    ensure!(unknown.is_empty(), "{MESSAGES} quotes what no program says: {}", unknown.join(", "));
    Ok(())
}

fn read(root: &Path, patterns: &[&str]) -> Result<BTreeMap<PathBuf, String>> {
    let mut git = Command::new("git");
    let listed = process::output(git.arg("ls-files").arg("--").args(patterns).current_dir(root))?;
    let read = |path: &str| {
        Ok((path.into(), fs::read_to_string(root.join(path)).context(path.to_owned())?))
    };
    listed.lines().map(read).collect()
}

fn broken(texts: &BTreeMap<PathBuf, String>, exists: &dyn Fn(&Path) -> bool) -> Vec<String> {
    let mut broken = Vec::new();
    for (path, text) in texts {
        for link in links(text).into_iter().filter(|link| !link.contains("://")) {
            let (file, heading) = link.split_once('#').unwrap_or((&link, ""));
            let beside = path.parent().unwrap_or(Path::new(""));
            let target = if file.is_empty() { path.clone() } else { plain(&beside.join(file)) };
            let is_there = match texts.get(&target) {
                Some(text) => heading.is_empty() || headings(text).contains(heading),
                None => exists(&target),
            };
            if !is_there {
                broken.push(format!("{} in {}", link, path.display()));
            }
        }
    }
    broken
}

/// Without `..`.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        match part {
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
        plain
    })
}

/// Lines outside of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

fn links(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    for line in prose(text) {
        // Every second part is code.
        let line: String = line.split('`').step_by(2).collect();
        let ends = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        links.extend(ends.map(|(link, _)| link.to_owned()));
    }
    links
}

/// As GitHub names them in addresses.
fn headings(text: &str) -> BTreeSet<String> {
    let slug = |title: &str| -> String {
        let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    let titles = prose(text).filter(|line| line.starts_with('#'));
    titles.filter_map(|line| Some(slug(line.trim_start_matches('#').strip_prefix(' ')?))).collect()
}

/// A source whose texts are in one line each.
fn joined(source: &str) -> String {
    let mut joined = String::new();
    for line in source.lines() {
        let line = if joined.ends_with(['\\', '"']) { line.trim_start() } else { line };
        if joined.ends_with('\\') {
            joined.pop();
            joined.push_str(line);
        } else if let Some(text) = line.trim_start_matches(['f', 'r']).strip_prefix('"')
            && joined.ends_with('"')
        {
            // Python goes on with a text.
            joined.pop();
            joined.push_str(text);
        } else {
            joined.push_str(line);
        }
    }
    joined
}

/// Parts of quoted messages, between names and figures, that are not in the sources.
fn unknown(messages: &str, sources: &str) -> Vec<String> {
    let rows = messages.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let quoted = rows.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let parts = quoted
        .flat_map(|message| message.split(|c: char| c == '…' || c == ':' || c.is_ascii_digit()));
    let said =
        |part: &&str| sources.contains(*part) || OF_OTHERS.iter().any(|other| part.contains(other));
    let long = parts.map(str::trim).filter(|part| part.len() >= LEAST);
    long.filter(|part| !said(part)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_files_and_headings() {
        let texts = [
            (
                "a.md",
                "# What it *is*, `x`\n[1](docs/b.md#it-s)[2](#what-it-is-x) `[no](link)` [3](gone.md)",
            ),
            (
                "docs/b.md",
                "## It s\n[1](../a.md#nothing) [2](c.png) [3](https://x/)\n```\n[4](no.md)\n```\n",
            ),
        ];
        let texts = texts.map(|(path, text)| (path.into(), text.to_owned())).into();
        let found = broken(&texts, &|path| path == Path::new("docs/c.png"));
        assert_eq!(found, ["gone.md in a.md", "../a.md#nothing in docs/b.md"]);
    }

    #[test]
    fn quoted_messages_are_said_by_a_program() {
        let rust = "bail!(\"{socket} does not answer, \\\n      and nothing helps\")";
        let python = "say(\n    f\"engine {x} \"\n    \"was not compared\"\n)";
        let sources = joined(rust) + &joined(python);
        let row = |message: &str| format!("| queued: `{message}` | why `not this` | |\n");
        let messages =
            ["… does not answer, and nothing helps", "engine 7c1 was not compared", "never said"];
        assert_eq!(unknown(&messages.map(row).concat(), &sources), ["never said"]);
    }
}
