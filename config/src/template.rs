//! The documented configuration file.

/// Every key, documented and commented out, with its default.
pub const TEMPLATE: &str = include_str!("../sdtrtd.toml");

/// Returns the documented file with some keys set to the given TOML values.
pub fn filled<'a>(values: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut text = TEMPLATE.to_owned();
    for (key, value) in values {
        let commented = format!("\n#{key} = ");
        if let Some(at) = text.find(&commented) {
            let end = text[at + 1..].find('\n').map_or(text.len(), |length| at + 1 + length);
            text.replace_range(at + 1..end, &format!("{key} = {value}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use toml::{Table, Value};

    use super::*;
    use crate::{Config, KEYS};

    /// The file with every key uncommented.
    fn uncommented() -> Table {
        let line = |line: &str| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') => rest.to_owned(),
            _ => line.to_owned(),
        };
        toml::from_str(&TEMPLATE.lines().map(line).collect::<Vec<_>>().join("\n")).unwrap()
    }

    #[test]
    fn every_key_is_documented_with_its_default() {
        let documented = uncommented();
        let defaults = Table::try_from(Config::default()).unwrap();
        for key in KEYS {
            let value = documented.get(key.name).unwrap_or_else(|| panic!("{}", key.name));
            // Examples, and keys whose default depends on the user.
            let is_example = [
                "models_dirs",
                "data_dir",
                "socket",
                "on_ready",
                "on_failed",
                "admins",
                "store",
                "presets",
                "rules",
                "webuis",
            ];
            if let Some(default) =
                defaults.get(key.name).filter(|_| !is_example.contains(&key.name))
            {
                assert_eq!(value, default, "{}", key.name);
            }
        }
        assert_eq!(documented.len(), KEYS.len());
        let config: Config = documented.try_into().unwrap();
        config.check().unwrap();
        assert_eq!(toml::from_str::<Config>(TEMPLATE).unwrap(), Config::default());
    }

    #[test]
    fn values_replace_their_commented_out_line() {
        let models = Value::from(vec!["/m \"x\""]).to_string();
        let text = filled([("models_dirs", models), ("webui_url", "\"http://a:1\"".to_owned())]);
        let config: Config = toml::from_str(&text).unwrap();
        assert_eq!(config.models_dirs, [std::path::Path::new("/m \"x\"")]);
        assert_eq!(config.webui_url.as_deref(), Some("http://a:1"));
        assert_eq!(text.lines().count(), TEMPLATE.lines().count());
    }
}
