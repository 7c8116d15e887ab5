//! `config check`, `show` and `edit`.

use std::{
    env,
    ffi::OsString,
    fs,
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use config::{KEYS, Loaded, Mistake, Origin};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    args::{Config, Global},
    ask, configuration, output,
    render::{
        look::{Look, Tone},
        table::Table,
        text,
    },
};

pub(super) fn run(global: &Global, command: &Config) -> Result<()> {
    match command {
        Config::Check => check(global),
        Config::Show => show(global),
        Config::Edit => edit(global),
    }
}

/// What `config check` found.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Checked {
    /// The file; absent if there is none.
    file: Option<String>,
    /// The mistakes, each with its location.
    mistakes: Vec<String>,
}

fn check(global: &Global) -> Result<()> {
    let file = configuration::file(global);
    let checked = Checked {
        file: file.exists().then(|| file.display().to_string()),
        mistakes: mistakes(configuration::load(global)),
    };
    output::answer(global, &checked, |checked| match &checked.file {
        _ if !checked.mistakes.is_empty() => String::new(),
        Some(file) => format!("{}: no mistakes\n", text::clean(file)),
        None => format!("{} does not exist; the environment variables are valid\n", file.display()),
    })?;
    if checked.mistakes.is_empty() { Ok(()) } else { bail!(checked.mistakes.join("\n")) }
}

fn mistakes(loaded: Result<Loaded, config::Error>) -> Vec<String> {
    let checked = loaded.and_then(|loaded| loaded.check(&configuration::architectures()));
    match checked {
        Ok(()) => Vec::new(),
        Err(config::Error::Mistakes(mistakes)) => mistakes.iter().map(Mistake::to_string).collect(),
        Err(error) => vec![error.to_string()],
    }
}

/// A key of the configuration.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Entry {
    /// Its name.
    key: &'static str,
    /// Its value as in the file; null if it has none.
    value: serde_json::Value,
    /// `default`, `FILE:LINE`, or the name of a variable.
    origin: String,
    /// A change needs a restart of sdtrtd.
    needs_restart: bool,
    /// What applies if it has no value.
    absent: &'static str,
}

fn show(global: &Global) -> Result<()> {
    let loaded = configuration::load(global)?;
    let entries = entries(&loaded)?;
    output::answer(global, &entries, |entries| render(entries, output::look()))
}

fn entries(loaded: &Loaded) -> Result<Vec<Entry>> {
    let values = serde_json::to_value(&loaded.config)
        .context("the configuration has a path that is not UTF-8")?;
    let entry = |key: &config::Key| Entry {
        key: key.name,
        value: values[key.name].clone(),
        origin: loaded.origin(key.name).to_string(),
        needs_restart: key.needs_restart,
        absent: key.absent,
    };
    Ok(KEYS.iter().map(entry).collect())
}

fn render(entries: &[Entry], look: Look) -> String {
    let mut table = Table::new(&["KEY", "FROM", "VALUE"]);
    for entry in entries {
        let value = match &entry.value {
            serde_json::Value::Null => entry.absent.to_owned(),
            value => value.to_string(),
        };
        table.row([entry.key, &entry.origin, &value], None);
        if entry.origin == Origin::Default.to_string() {
            table.tone(1, Tone::Quiet);
        }
    }
    table.render(look)
}

/// What `config edit` did.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Edited {
    /// The file.
    file: String,
    /// Whether its text has changed.
    changed: bool,
}

fn edit(global: &Global) -> Result<()> {
    let file = configuration::file(global);
    let before = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => config::TEMPLATE.to_owned(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
    let copy = tempfile::Builder::new().prefix("sdtrtd-").suffix(".toml").tempfile()?;
    fs::write(copy.path(), &before)?;
    loop {
        run_editor(copy.path())?;
        let after = fs::read_to_string(copy.path()).context("cannot read the edited copy")?;
        if after == before {
            let edited = Edited { file: file.display().to_string(), changed: false };
            return output::answer(global, &edited, |_| "no changes\n".to_owned());
        }
        let mistakes = mistakes(config::load_text(&file, &after, env::vars_os()));
        if mistakes.is_empty() {
            config::replace(&file, &after)?;
            let edited = Edited { file: file.display().to_string(), changed: true };
            return output::answer(global, &edited, |edited| {
                format!("{} was changed; `sdtrtctl reload` applies it\n", edited.file)
            });
        }
        eprintln!("{}", text::clean_lines(&mistakes.join("\n")));
        if !io::stdin().is_terminal() || !ask::yes("Edit it again?", true)? {
            let (_, kept) = copy.keep().context("cannot keep the edited copy")?;
            bail!("{} was not changed; your edited copy is {}", file.display(), kept.display());
        }
    }
}

fn run_editor(file: &Path) -> Result<()> {
    let named =
        ["VISUAL", "EDITOR"].iter().find_map(|name| env::var_os(name).filter(|v| !v.is_empty()));
    let named = named.unwrap_or_else(|| OsString::from("editor"));
    let named = named.to_string_lossy().into_owned();
    // No shell: an editor's arguments are separated by spaces.
    let mut words = named.split_whitespace();
    let program = PathBuf::from(words.next().unwrap_or("editor"));
    let status = Command::new(&program).args(words).arg(file).status().with_context(|| {
        format!("cannot start the editor '{}'; set EDITOR to an installed one", program.display())
    })?;
    if status.success() {
        Ok(())
    } else {
        bail!("the editor failed ({status}); nothing was changed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_shown_with_its_origin() {
        let entry = |key, value, origin: &str| Entry {
            key,
            value,
            origin: origin.to_owned(),
            needs_restart: false,
            absent: "none",
        };
        let entries = [
            entry("models_dirs", serde_json::json!(["/m", "/n"]), "/etc/sdtrt/sdtrtd.toml:3"),
            entry("quota", serde_json::Value::Null, "default"),
            entry("build", "always".into(), "SDTRT_BUILD"),
        ];
        insta::assert_snapshot!(render(&entries, Look::default()), @r#"
        KEY           FROM                       VALUE
        models_dirs   /etc/sdtrt/sdtrtd.toml:3   ["/m","/n"]
        quota         default                    none
        build         SDTRT_BUILD                "always"
        "#);
    }

    #[test]
    fn the_file_and_the_variables_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("sdtrtd.toml");
        fs::write(&file, "models_dirs = ['/m']\n\nquota = '50 GB'").unwrap();
        let variables = [("SDTRT_BUILD".into(), "always".into())];
        let entries = entries(&config::load(Some(&file), variables).unwrap()).unwrap();
        assert_eq!(entries.len(), KEYS.len());
        let of = |key| entries.iter().find(|entry| entry.key == key).unwrap();
        assert_eq!(of("quota").origin, format!("{}:3", file.display()));
        assert_eq!(
            (of("build").origin.as_str(), &of("build").value),
            ("SDTRT_BUILD", &"always".into())
        );
        assert_eq!(of("rules").origin, "default");
        assert!(of("data_dir").needs_restart);
    }
}
