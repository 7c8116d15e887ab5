//! Every configuration key: its environment variable, and whether a change needs a restart.

/// How an environment variable's value is parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A string.
    Text,
    /// A path.
    Path,
    /// Paths, separated by colons.
    Paths,
    /// Strings, separated by commas.
    Words,
    /// A TOML value.
    Toml,
}

/// A key of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The name in the file.
    pub name: &'static str,
    /// Whether a change takes effect only after a restart of the daemon.
    pub needs_restart: bool,
    /// What happens if it is absent.
    pub absent: &'static str,
    pub(crate) form: Form,
}

impl Key {
    /// The environment variable that overrides it, such as `SDTRT_QUOTA`.
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.name.to_uppercase())
    }

    const fn absent(self, absent: &'static str) -> Self {
        Self { absent, ..self }
    }
}

/// The variables' prefix.
pub(crate) const PREFIX: &str = "SDTRT_";

/// All keys, in the order of the documented file.
pub const KEYS: [Key; 29] = [
    key("models_dirs", Form::Paths),
    at_start("data_dir", Form::Path),
    at_start("socket", Form::Path),
    key("tensorrt_dir", Form::Path).absent("found automatically"),
    key("compute_capabilities", Form::Words),
    key("engines", Form::Text).absent("shared"),
    key("settle_seconds", Form::Toml),
    key("rescan_seconds", Form::Toml),
    key("ignore", Form::Toml),
    key("quota", Form::Text),
    key("min_free", Form::Text),
    key("fixed_engines", Form::Toml),
    key("orphan_days", Form::Toml),
    key("build", Form::Text),
    key("build_hours", Form::Text).absent("all day"),
    key("on_battery", Form::Toml),
    key("idle_seconds", Form::Toml),
    key("prefer", Form::Text),
    at_start("webui_url", Form::Text),
    key("keep_model_json", Form::Toml),
    key("on_ready", Form::Toml),
    key("on_failed", Form::Toml),
    key("notifications", Form::Toml),
    at_start("admins", Form::Words),
    at_start("metrics", Form::Text),
    key("store", Form::Toml),
    key("presets", Form::Toml),
    key("rules", Form::Toml),
    key("webuis", Form::Toml),
];

const fn key(name: &'static str, form: Form) -> Key {
    Key { name, form, needs_restart: false, absent: "none" }
}

const fn at_start(name: &'static str, form: Form) -> Key {
    Key { needs_restart: true, ..key(name, form) }
}

/// Returns the known key that `typed` most likely stands for.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |name: &&str| strsim::jaro_winkler(typed, name);
    known
        .into_iter()
        .filter(|name| likeness(name) > 0.8)
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::Config;

    #[test]
    fn every_key_of_the_configuration_is_listed() {
        let config = Config {
            tensorrt_dir: Some("/t".into()),
            engines: Some(crate::EngineKind::Shared),
            build_hours: Some("23:00-07:00".parse().unwrap()),
            quota: Some(bytesize::ByteSize::gb(1)),
            webui_url: Some("http://x".into()),
            metrics: Some("127.0.0.1:1".parse().unwrap()),
            store: Some(toml::from_str("url = 's3://x'").unwrap()),
            ..Config::default()
        };
        let keys: BTreeSet<String> =
            toml::Table::try_from(config).unwrap().into_iter().map(|(key, _)| key).collect();
        let listed: BTreeSet<String> = KEYS.iter().map(|key| key.name.to_owned()).collect();
        assert_eq!(keys, listed);
    }

    #[test]
    fn only_similar_keys_are_suggested() {
        for (typed, expected) in [
            ("model_dir", Some("models_dirs")),
            ("qouta", Some("quota")),
            ("settle_secs", Some("settle_seconds")),
            ("colour", None),
        ] {
            assert_eq!(nearest(typed, KEYS.iter().map(|key| key.name)), expected, "{typed}");
        }
    }
}
