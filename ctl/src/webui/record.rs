//! What the configuration says of web UIs: a table `[[webuis]]` for each. All else in the file stays as
//! it is, comments too.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use config::WebUi;
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, value};

const KEY: &str = "webuis";

/// Has the configuration name this web UI, in the place of what it said of it before.
pub(crate) fn record(file: &Path, webui: &WebUi) -> Result<()> {
    let mut table = Table::new();
    table.insert("path", value(text(&webui.path)?));
    table.insert("models_dirs", value(texts(&webui.models_dirs)?));
    edit(file, |tables| {
        tables.retain(|table| !is_of(table, &webui.path));
        tables.push(table);
    })
}

/// Has the configuration name the web UI at `path` no more.
pub(crate) fn forget(file: &Path, path: &Path) -> Result<()> {
    if file.exists() {
        edit(file, |tables| tables.retain(|table| !is_of(table, path)))
    } else {
        Ok(())
    }
}

fn edit(file: &Path, change: impl FnOnce(&mut ArrayOfTables)) -> Result<()> {
    let named = || file.display().to_string();
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", named())),
    };
    let edited = edited(file, &text, change)
        .with_context(|| format!("{} was not changed, because it is not valid", named()))?;
    Ok(config::replace(file, &edited)?)
}

/// The file's text after a change to its web UIs, if sdtrtd understands it before and after.
fn edited(file: &Path, text: &str, change: impl FnOnce(&mut ArrayOfTables)) -> Result<String> {
    // A mistake that is there already is named by its line in the file.
    config::load_text(file, text, [])?;
    let mut document: DocumentMut = text.parse()?;
    let item = document.entry(KEY).or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
    let tables = item
        .as_array_of_tables_mut()
        .with_context(|| format!("{KEY} must be a list of tables, [[{KEY}]]"))?;
    change(tables);
    if tables.is_empty() {
        document.remove(KEY);
    }
    let edited = document.to_string();
    config::load_text(file, &edited, [])?;
    Ok(edited)
}

fn is_of(table: &Table, path: &Path) -> bool {
    table.get("path").and_then(Item::as_str).map(Path::new) == Some(path)
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}

fn texts(paths: &[PathBuf]) -> Result<Array> {
    paths.iter().map(|path| text(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webui(path: &str, models: &str) -> WebUi {
        WebUi { path: path.into(), models_dirs: vec![models.into()] }
    }

    #[test]
    fn the_rest_of_the_file_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("new/sdtrtd.toml");
        forget(&file, Path::new("/w")).unwrap();
        assert!(!file.exists());
        record(&file, &webui("/w", "/m")).unwrap();
        assert_eq!(config::load(Some(&file), []).unwrap().config.webuis, [webui("/w", "/m")]);

        let theirs = "# mine\nmodels_dirs = [ \"/a\" ] # here\n";
        fs::write(&file, theirs).unwrap();
        for (path, models) in [("/w", "/old"), ("/v", "/n"), ("/w", "/m")] {
            record(&file, &webui(path, models)).unwrap();
        }
        let read = config::load(Some(&file), []).unwrap().config;
        assert_eq!(read.webuis, [webui("/v", "/n"), webui("/w", "/m")]);
        for path in ["/w", "/v", "/never"] {
            forget(&file, Path::new(path)).unwrap();
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), theirs);
    }

    #[test]
    fn what_the_daemon_would_refuse_is_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("sdtrtd.toml");
        for (text, line) in [
            ("models_dirs = [", 1),
            ("# mine\n\nunknown = 1\n", 3),
            ("webuis = 3\n", 1),
            ("webuis = [{ path = '/v', models_dirs = ['/n'] }]\n[oops]\n", 2),
        ] {
            fs::write(&file, text).unwrap();
            for error in [record(&file, &webui("/w", "/m")), forget(&file, Path::new("/v"))] {
                let error = format!("{:#}", error.expect_err(text));
                let named = file.display();
                assert!(error.starts_with(&format!("{named} was not changed")), "{error}");
                assert!(error.contains(&format!("{named}:{line}: ")), "{error}");
            }
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        }
    }
}
