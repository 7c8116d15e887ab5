//! An archive for a bug report: what the daemon says, what doctor finds, configuration, logs and
//! manifests. No weights, no engines, no passwords.

use std::{
    env,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use protocol::question;
use schemars::JsonSchema;
use serde::Serialize;
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::{
    args::Global,
    configuration,
    daemon::Daemon,
    doctor, exit, output,
    redact::{in_text, redact},
    render::text,
};

/// Maximum taken from one file, from its end.
const MOST_BYTES: usize = 1 << 20;

/// Maximum number of files taken from one folder, the newest.
const MOST_FILES: usize = 50;

/// What was written.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Written {
    /// The archive.
    path: String,
    /// Its size.
    bytes: u64,
    /// What is in it.
    files: Vec<String>,
}

pub(super) fn run(global: &Global, output: Option<&Path>) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let path = output.map_or_else(|| format!("sdtrt-snapshot-{now}.zip").into(), Path::to_owned);
    let contents = contents(global);
    let cannot = || format!("cannot write {}; choose another file with --output", path.display());
    // Private, until the user has checked it and sends it.
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let aside = tempfile::Builder::new().tempfile_in(dir).with_context(cannot)?;
    archive(aside.as_file(), &contents).with_context(cannot)?;
    aside.persist(&path).map_err(|error| error.error).with_context(cannot)?;
    let written = Written {
        bytes: fs::metadata(&path)?.len(),
        path: path.display().to_string(),
        files: contents.into_iter().map(|(name, _)| name).collect(),
    };
    output::answer(global, &written, |written| {
        format!(
            "{}, {}: {}\ncheck its contents before you send it: it contains names of files and folders\n",
            text::clean(&written.path),
            text::size(written.bytes),
            text::count(written.files.len(), "file"),
        )
    })
}

/// A file's name and text.
type Content = (String, String);

fn archive(file: &File, contents: &[Content]) -> Result<()> {
    let mut zip = ZipWriter::new(file);
    for (name, text) in contents {
        zip.start_file(name.as_str(), SimpleFileOptions::default())?;
        zip.write_all(text.as_bytes())?;
    }
    zip.finish()?.sync_all()?;
    Ok(())
}

fn contents(global: &Global) -> Vec<Content> {
    let mut contents = vec![
        ("version.txt".to_owned(), version()),
        ("doctor.json".to_owned(), pretty(&doctor::examine(global))),
    ];
    let file = configuration::file(global);
    if let Ok(text) = fs::read_to_string(&file) {
        contents.push(("sdtrtd.toml".to_owned(), text));
    }
    contents.extend(told(global));
    let data_dir = data_dir(global);
    contents.extend(files(&data_dir.join("logs"), &["log"]));
    // `.engine` files may contain weights: only the files beside them are taken.
    contents.extend(files(&data_dir.join("engines"), &["json", "usage"]));
    contents.push((
        "journal.txt".to_owned(),
        said("journalctl", &["--user", "--unit=sdtrtd", "--lines=2000", "--no-pager"]),
    ));
    contents.push(("nvidia-smi.txt".to_owned(), said("nvidia-smi", &[])));
    // What is a password in one file is one in all.
    let configured = fs::read_to_string(&file).unwrap_or_default();
    let known = in_text(&(configured + "\n" + &env::var("SDTRT_WEBUI_URL").unwrap_or_default()));
    contents.into_iter().map(|(name, text)| (name, redact(&text, &known))).collect()
}

/// The running daemon's, or else the configured one.
fn data_dir(global: &Global) -> PathBuf {
    let status = Daemon::connect(global).and_then(|mut daemon| daemon.ask(question::status()));
    if let Ok(status) = status {
        return status.daemon.data_dir.into();
    }
    let configured = configuration::load(global).map(|loaded| loaded.config.data_dir);
    configured.unwrap_or_else(|_| config::data_dir())
}

/// The daemon's answers, or why there are none.
fn told(global: &Global) -> Vec<Content> {
    let answers = Daemon::connect(global).and_then(|mut daemon| {
        Ok(vec![
            ("status.json".to_owned(), pretty(&daemon.ask(question::status())?)),
            ("list.json".to_owned(), pretty(&daemon.ask(question::list())?)),
            ("history.json".to_owned(), pretty(&daemon.ask(question::history())?)),
            ("disk.json".to_owned(), pretty(&daemon.ask(question::disk())?)),
        ])
    });
    answers.unwrap_or_else(|error| vec![("no-daemon.txt".to_owned(), exit::describe(&error))])
}

fn version() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    format!(
        "sdtrtctl {}\n{}{}",
        env!("CARGO_PKG_VERSION"),
        read("/proc/version"),
        read("/etc/os-release")
    )
}

fn pretty(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// The newest files of a folder with one of these extensions, by their path in the archive.
fn files(dir: &Path, extensions: &[&str]) -> Vec<Content> {
    let is_wanted = |path: &PathBuf| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|extension| extensions.contains(&extension))
    };
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).filter(is_wanted).collect();
    paths.sort_by_key(|path| fs::metadata(path).and_then(|found| found.modified()).ok());
    let newest = paths.iter().rev().take(MOST_FILES);
    newest
        .filter_map(|path| {
            let bytes = fs::read(path).ok()?;
            let end = &bytes[bytes.len().saturating_sub(MOST_BYTES)..];
            let folder = dir.file_name()?.to_string_lossy();
            let name = format!("{folder}/{}", path.file_name()?.to_string_lossy());
            Some((name, String::from_utf8_lossy(end).into_owned()))
        })
        .collect()
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    match output {
        Ok(output) => {
            let text = [output.stdout, output.stderr].concat();
            let end = &text[text.len().saturating_sub(MOST_BYTES)..];
            String::from_utf8_lossy(end).into_owned()
        }
        Err(error) => format!("{program}: {error}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_weights_nor_passwords_get_in() {
        let dir = tempfile::tempdir().unwrap();
        let engines = dir.path().join("engines");
        fs::create_dir(&engines).unwrap();
        for name in ["a.engine", "a.json", "a.usage", "model.safetensors"] {
            fs::write(engines.join(name), name).unwrap();
        }
        let mut names: Vec<_> =
            files(&engines, &["json", "usage"]).into_iter().map(|(name, _)| name).collect();
        names.sort();
        assert_eq!(names, ["engines/a.json", "engines/a.usage"]);
        let file = dir.path().join("sdtrtd.toml");
        fs::write(&file, "webui_url = \"http://me:sec@ret@host:7860\"\nquota = 1 # sec@ret")
            .unwrap();
        let global = Global {
            socket: Some(dir.path().join("s")),
            config: Some(file),
            json: false,
            quiet: false,
        };
        for (name, text) in contents(&global) {
            assert!(!text.contains("sec@ret") && !text.contains("ret@host"), "{name}: {text}");
        }
    }
}
