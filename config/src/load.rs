//! Loads the configuration: defaults, the file, the environment.

use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    fs, io,
    ops::Range,
    path::{Path, PathBuf},
};

use toml::{
    Spanned, Table, Value,
    de::{DeTable, DeValue},
};

use crate::{
    Config, Error, KEYS, Key, Mistake, Origin,
    key::{Form, PREFIX, nearest},
    mistake::{reworded, unknown},
};

/// A configuration, and where each of its values comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// The origin of each key that differs from its default, and of named entries in it, such as
    /// `presets.portrait.width`.
    origins: BTreeMap<String, Origin>,
}

impl Loaded {
    /// Where the value of `key` comes from.
    pub fn origin(&self, key: &str) -> Origin {
        let mut key = key;
        loop {
            if let Some(origin) = self.origins.get(key) {
                return origin.clone();
            }
            let Some((shorter, _)) = key.rsplit_once('.') else { return Origin::Default };
            key = shorter;
        }
    }

    /// Applies `change` on top, as command-line flags do.
    pub fn with(mut self, change: impl FnOnce(&mut Config)) -> Self {
        let before = self.config.clone();
        change(&mut self.config);
        for key in before.changes(&self.config) {
            self.origins.retain(|of, _| of.split('.').next() != Some(key.name));
        }
        self
    }

    /// Checks the values. `architectures` are those that rules may name.
    ///
    /// # Errors
    /// Names the key, its location, its value and what was expected.
    pub fn check(&self, architectures: &[String]) -> Result<(), Error> {
        let checked = self.config.check().and_then(|()| self.config.check_rules(architectures));
        checked.map_err(|error| match &error {
            Error::Value { key, .. } => match self.origin(key) {
                Origin::Default => error,
                origin => Error::Mistakes(vec![Mistake { origin, message: error.to_string() }]),
            },
            _ => error,
        })
    }
}

/// Loads the configuration from `file` and the environment, which overrides it.
///
/// # Errors
/// If the file can't be read, and for each unknown key or value of the wrong type.
pub fn load(
    file: Option<&Path>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded, Error> {
    let Some(path) = file else { return of(None, variables) };
    let text = text(path).map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
    of(Some((path, &text)), variables)
}

/// What [`load`] returns once `file` has this text: for checking it before it is written.
///
/// # Errors
/// For each unknown key or value of the wrong type.
pub fn load_text(
    file: &Path,
    text: &str,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded, Error> {
    of(Some((file, text)), variables)
}

fn of(
    file: Option<(&Path, &str)>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded, Error> {
    let mut table = Table::new();
    let mut origins = BTreeMap::new();
    if let Some((path, text)) = file {
        table = read(path, text, &mut origins).map_err(Error::Mistakes)?;
        make_absolute(&mut table, path.parent().unwrap_or(Path::new("")));
    }
    let file = file.map(|(path, _)| path);
    let said = from_variables(variables).map_err(Error::Mistakes)?;
    origins.retain(|key, _| key.split('.').next().is_none_or(|key| !said.contains_key(key)));
    for (key, value) in said {
        let variable = PREFIX.to_owned() + &key.to_uppercase();
        origins.insert(key.clone(), Origin::Variable(variable));
        table.insert(key, value);
    }
    let mut config: Config = table.try_into().map_err(|error: toml::de::Error| {
        let message = reworded(error.message());
        Error::Mistakes(vec![Mistake { origin: Origin::Default, message }])
    })?;
    if let Some(base) = file.and_then(Path::parent) {
        // The paths in the web UIs' tables; all others are absolute already.
        config.make_absolute(base);
    }
    config.add_models_of_webuis();
    Ok(Loaded { config, file: file.map(Path::to_owned), origins })
}

/// Reads the file's values, and adds the origin of each to `origins`.
fn read(
    path: &Path,
    text: &str,
    origins: &mut BTreeMap<String, Origin>,
) -> Result<Table, Vec<Mistake>> {
    let at = |span: Option<Range<usize>>| {
        let before = &text.as_bytes()[..span.map_or(0, |span| span.start).min(text.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        Origin::File { path: path.to_owned(), line }
    };
    let mistake = |error: toml::de::Error| {
        let message = reworded(error.message());
        vec![Mistake { origin: at(error.span()), message }]
    };
    let parsed = DeTable::parse(text).map_err(mistake)?;
    let unknown: Vec<_> = parsed
        .get_ref()
        .keys()
        .filter(|key| !KEYS.iter().any(|known| known.name == key.get_ref().as_ref()))
        .map(|key| Mistake {
            origin: at(Some(key.span())),
            message: unknown(key.get_ref(), KEYS.iter().map(|key| key.name)),
        })
        .collect();
    if !unknown.is_empty() {
        return Err(unknown);
    }
    toml::from_str::<Config>(text).map_err(mistake)?;
    for (key, value) in parsed.get_ref() {
        origins.insert(key.get_ref().to_string(), at(Some(key.span())));
        for (named, span) in named(value) {
            origins.insert(format!("{}.{named}", key.get_ref()), at(Some(span)));
        }
    }
    toml::from_str(text).map_err(mistake)
}

/// Returns the named tables of an array and their keys: `NAME` and `NAME.KEY`.
fn named(value: &Spanned<DeValue<'_>>) -> Vec<(String, Range<usize>)> {
    let DeValue::Array(entries) = value.get_ref() else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries {
        let DeValue::Table(table) = entry.get_ref() else { continue };
        let name = table.iter().find(|(key, _)| key.get_ref().as_ref() == "name");
        let Some((key, DeValue::String(name))) = name.map(|(key, value)| (key, value.get_ref()))
        else {
            continue;
        };
        found.push((name.to_string(), key.span()));
        found.extend(table.keys().map(|key| (format!("{name}.{}", key.get_ref()), key.span())));
    }
    found
}

fn from_variables(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Table, Vec<Mistake>> {
    let mut table = Table::new();
    let mut mistakes = Vec::new();
    for (name, text) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
        if text.is_empty() {
            continue;
        }
        let mut mistake = |message| {
            mistakes.push(Mistake { origin: Origin::Variable(name.to_owned()), message });
        };
        let Some(key) = KEYS.iter().find(|key| key.variable() == name) else {
            let known: Vec<_> = KEYS.iter().map(Key::variable).collect();
            // Other programs may use variables with this prefix, as the project's own tests do.
            let names = known.iter().map(String::as_str).chain(["SDTRT_CONFIG"]);
            match nearest(name, names).filter(|nearest| strsim::levenshtein(name, nearest) < 3) {
                Some("SDTRT_CONFIG") | None => {}
                Some(nearest) => mistake(format!("unknown key; did you mean {nearest}?")),
            }
            continue;
        };
        match value(key, &text) {
            Ok(value) => drop(table.insert(key.name.to_owned(), value)),
            Err(message) => mistake(message),
        }
    }
    if mistakes.is_empty() {
        // A relative path in a variable is relative to the working directory.
        make_absolute(&mut table, &env::current_dir().unwrap_or_default());
        Ok(table)
    } else {
        Err(mistakes)
    }
}

/// Parses a variable's value as the key's type.
fn value(key: &Key, text: &OsStr) -> Result<Value, String> {
    let text = text.to_str().ok_or("the value is not UTF-8; set it in the file instead")?;
    let parts = |separator| {
        let parts = text.split(separator).map(str::trim).filter(|part| !part.is_empty());
        Value::Array(parts.map(Value::from).collect())
    };
    let value = match key.form {
        Form::Text | Form::Path => Value::from(text),
        Form::Paths => parts(':'),
        Form::Words => parts(','),
        Form::Toml => {
            let table: Table = toml::from_str(&format!("value = {text}"))
                .map_err(|error| reworded(error.message()))?;
            table.get("value").cloned().ok_or("expected a value")?
        }
    };
    let alone = Table::from_iter([(key.name.to_owned(), value.clone())]);
    let checked: Result<Config, _> = alone.try_into();
    checked.map_err(|error: toml::de::Error| reworded(error.message()))?;
    Ok(value)
}

/// Makes relative paths absolute: those starting with `~/` are relative to the home folder, others to `base`.
fn make_absolute(table: &mut Table, base: &Path) {
    for key in KEYS.iter().filter(|key| matches!(key.form, Form::Path | Form::Paths)) {
        match table.get_mut(key.name) {
            Some(Value::String(path)) => *path = absolute(path, base),
            Some(Value::Array(paths)) => {
                for path in paths {
                    if let Value::String(path) = path {
                        *path = absolute(path, base);
                    }
                }
            }
            _ => {}
        }
    }
}

fn absolute(path: &str, base: &Path) -> String {
    let at_home = path.strip_prefix("~/").zip(env::home_dir());
    let absolute = at_home.map_or_else(|| base.join(path), |(below, home)| home.join(below));
    absolute.to_string_lossy().into_owned()
}

/// Of a file, and no pipe, which would be waited for, and no device but the empty one.
fn text(path: &Path) -> io::Result<String> {
    if !fs::metadata(path)?.is_file() && path != Path::new("/dev/null") {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    fs::read_to_string(path)
}

#[cfg(test)]
mod tests;
