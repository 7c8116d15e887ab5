//! Changes a configuration file's presets, or the keys that it trusts. All else in it stays as it is, comments too.

mod trusted;

use thiserror::Error;
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, TomlError, value};

use crate::{Preset, Range, presets::USUAL};

pub use trusted::with_trusted_key;

const PRESETS: &str = "presets";
const RULES: &str = "rules";

/// Why a file's presets can't be changed.
#[derive(Debug, Error)]
pub enum EditError {
    /// It is no TOML.
    #[error(transparent)]
    Toml(#[from] TomlError),
    /// They are written as one array, which people who write so change themselves.
    #[error("{0} is no list of tables, [[{0}]]; `sdtrtctl config edit` changes it")]
    NoTables(&'static str),
    /// There is nothing to which a key could be added.
    #[error("there is no [store] in it; write one with its url first, as docs/store.md shows")]
    NoStore,
    /// It is something else.
    #[error("trusted_keys of [store] is no list; `sdtrtctl config edit` changes it")]
    NoKeys,
}

/// Returns a file's text with this preset in it, in the place of the one of its name; it is for all checkpoints that no
/// rule with a condition is for.
///
/// # Errors
/// If the text is no configuration in the usual form.
pub fn with_preset(text: &str, preset: &Preset) -> Result<String, EditError> {
    let mut document: DocumentMut = text.parse()?;
    let presets = tables(&mut document, PRESETS)?;
    let written = written(preset);
    let is_new = !presets.iter().any(|table| is_named(table, &preset.name));
    for table in presets.iter_mut().filter(|table| is_named(table, &preset.name)) {
        for (key, item) in &written {
            // What is written above the key stays.
            *table.entry(key).or_insert(Item::None) = item.clone();
        }
    }
    if is_new {
        presets.push(written);
    }
    let rules = tables(&mut document, RULES)?;
    let is_any = |table: &Table, key| {
        table.get(key).is_none_or(|pattern| pattern.as_str().is_some_and(is_everything))
    };
    let is_for_all = |table: &Table| {
        !table.contains_key("folder") && is_any(table, "architecture") && is_any(table, "name")
    };
    if !rules.iter().any(is_for_all) {
        let mut rule = Table::new();
        rule.insert(PRESETS, value(Array::from_iter(USUAL)));
        rules.push(rule);
    }
    let Some(rule) = rules.iter_mut().find(|table| is_for_all(table)) else {
        return Ok(document.to_string());
    };
    let names = rule.entry(PRESETS).or_insert_with(|| value(Array::new())).as_array_mut();
    let names = names.ok_or(EditError::NoTables(RULES))?;
    if !names.iter().any(|name| name.as_str() == Some(&preset.name)) {
        names.push(&preset.name);
    }
    Ok(document.to_string())
}

/// Returns a file's text without the preset of this name, in rules too. A rule of which nothing is left goes, since it
/// would say that its checkpoints get no engine.
///
/// # Errors
/// As [`with_preset`].
pub fn without_preset(text: &str, name: &str) -> Result<String, EditError> {
    let mut document: DocumentMut = text.parse()?;
    tables(&mut document, PRESETS)?.retain(|table| !is_named(table, name));
    let rules = tables(&mut document, RULES)?;
    let mut left = Vec::new();
    for rule in rules.iter_mut() {
        let names = rule.get_mut(PRESETS).and_then(Item::as_array_mut);
        let had_it = names.is_some_and(|names| {
            let before = names.len();
            names.retain(|known| known.as_str() != Some(name));
            before > names.len() && names.is_empty()
        });
        left.push(!had_it);
    }
    let mut left = left.into_iter();
    rules.retain(|_| left.next().unwrap_or(true));
    for key in [PRESETS, RULES] {
        if tables(&mut document, key)?.is_empty() {
            document.remove(key);
        }
    }
    Ok(document.to_string())
}

fn tables<'a>(
    document: &'a mut DocumentMut,
    key: &'static str,
) -> Result<&'a mut ArrayOfTables, EditError> {
    let item = document.entry(key).or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
    if item.as_array().is_some_and(Array::is_empty) {
        *item = Item::ArrayOfTables(ArrayOfTables::new());
    }
    item.as_array_of_tables_mut().ok_or(EditError::NoTables(key))
}

/// Whether this pattern matches every name.
fn is_everything(pattern: &str) -> bool {
    !pattern.is_empty() && pattern.chars().all(|c| c == '*')
}

fn is_named(table: &Table, name: &str) -> bool {
    table.get("name").and_then(Item::as_str) == Some(name)
}

fn written(preset: &Preset) -> Table {
    let Preset { name, width, height, batch, tokens, controlnet } = preset;
    let mut table = Table::new();
    table.insert("name", value(name));
    for (key, range) in [("width", width), ("height", height), ("batch", batch), ("tokens", tokens)]
    {
        table.insert(key, written_range(*range));
    }
    table.insert("controlnet", value(*controlnet));
    table
}

fn written_range(Range { min, opt, max }: Range) -> Item {
    // All are far below what a signed number holds, and checked.
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    if min == max && min == opt {
        return value(number(min));
    }
    let mut table = InlineTable::new();
    for (key, size) in [("min", min), ("opt", opt), ("max", max)] {
        table.insert(key, number(size).into());
    }
    value(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    fn tall() -> Preset {
        Preset {
            name: "tall".to_owned(),
            width: Range { min: 512, opt: 512, max: 512 },
            height: Range { min: 512, opt: 768, max: 1024 },
            batch: Range { min: 1, opt: 1, max: 1 },
            tokens: Range { min: 75, opt: 75, max: 75 },
            controlnet: false,
        }
    }

    const MINE: &str = "# mine\nmodels_dirs = [\"/m\"] # here\n";

    #[test]
    fn a_preset_is_written_for_all_and_removed_without_a_trace() {
        let with = with_preset(MINE, &tall()).unwrap();
        assert_eq!(
            with,
            format!(
                "{MINE}\n[[presets]]\nname = \"tall\"\nwidth = 512\nheight = {{ min = 512, opt = 768, max = 1024 }}\n\
                 batch = 1\ntokens = 75\ncontrolnet = false\n\n[[rules]]\npresets = [\"default\", \"dynamic\", \"tall\"]\n"
            )
        );
        let config: Config = toml::from_str(&with).unwrap();
        config.check().unwrap();
        assert_eq!(config.presets, [tall()]);
        let without = without_preset(&with, "tall").unwrap();
        let left = "\n[[rules]]\npresets = [\"default\", \"dynamic\"]\n";
        assert_eq!(without, format!("{MINE}{left}"));
    }

    #[test]
    fn it_is_changed_in_its_place_and_rules_with_conditions_stay() {
        let text = "models_dirs = ['/m']\n[[presets]]\n# for posters\nname = 'tall'\nwidth = 256\nheight = 256\n\
                    batch = 1\ntokens = 75\n[[rules]]\narchitecture = 'sd2*'\npresets = ['default']\n\
                    [[rules]]\npresets = ['tall']\n";
        let with = with_preset(text, &tall()).unwrap();
        assert!(with.contains("# for posters") && !with.contains("256"), "{with}");
        let config: Config = toml::from_str(&with).unwrap();
        assert_eq!((config.presets, config.rules.len()), (vec![tall()], 2));
        let without = without_preset(&with, "tall").unwrap();
        let config: Config = toml::from_str(&without).unwrap();
        assert_eq!((config.presets.len(), config.rules.len()), (0, 1), "{without}");
    }

    /// A later rule would never apply.
    #[test]
    fn a_rule_with_patterns_for_everything_is_for_all() {
        for pattern in ["name = '*'", "architecture = '*'", "name = '**'"] {
            let text =
                format!("models_dirs = ['/m']\n[[rules]]\n{pattern}\npresets = ['default']\n");
            let with = with_preset(&text, &tall()).unwrap();
            let config: Config = toml::from_str(&with).unwrap();
            assert_eq!(config.rules.len(), 1, "{with}");
            assert_eq!(config.rules[0].presets, ["default", "tall"]);
        }
    }

    #[test]
    fn other_forms_are_left_to_people() {
        with_preset("models_dirs = ['/m']\npresets = []", &tall()).unwrap();
        for text in
            ["presets = [{ name = 'a' }]", "rules = [{ presets = [] }]", "presets = 1", "no TOML"]
        {
            with_preset(text, &tall()).unwrap_err();
        }
    }
}
