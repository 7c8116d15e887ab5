//! Presets and rules: which sizes engines are built for.

mod builtin;
mod preset;
mod range;
mod rule;

use std::{collections::HashSet, path::Path};

pub use builtin::Family;
pub(crate) use builtin::USUAL;
pub use preset::{PIXEL_STEP, Preset};
pub use range::Range;
pub use rule::Rule;

use crate::{Config, EngineKind, Error};

impl Config {
    /// Returns the presets of a checkpoint with this architecture at this path: those of the first matching
    /// rule, or the default ones. Empty if a rule excludes it.
    pub fn presets_for(&self, architecture: &str, family: Family, path: &Path) -> Vec<Preset> {
        match self.rule_for(architecture, path) {
            Some(rule) => {
                rule.presets.iter().filter_map(|name| self.preset(name, family)).collect()
            }
            None => builtin::USUAL.iter().filter_map(|name| self.preset(name, family)).collect(),
        }
    }

    /// Returns all presets of a family, and whether each is built in.
    pub fn all_presets(&self, family: Family) -> Vec<(Preset, bool)> {
        let builtin = builtin::names().filter_map(|name| builtin::find(name, family));
        let own = self.presets.iter().cloned();
        builtin.map(|preset| (preset, true)).chain(own.map(|preset| (preset, false))).collect()
    }

    /// Returns where such a checkpoint's engines should have their weights, if a rule says so.
    pub fn engine_kind_for(&self, architecture: &str, path: &Path) -> Option<EngineKind> {
        self.rule_for(architecture, path)?.engines
    }

    fn rule_for(&self, architecture: &str, path: &Path) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.fits(architecture, path, &self.models_dirs))
    }

    fn preset(&self, name: &str, family: Family) -> Option<Preset> {
        let own = self.presets.iter().find(|preset| preset.name == name);
        own.cloned().or_else(|| builtin::find(name, family))
    }

    /// Checks that every rule can match: an architecture may be misspelled.
    ///
    /// # Errors
    /// Names the architecture and the known ones.
    pub fn check_rules(&self, architectures: &[String]) -> Result<(), Error> {
        let fits = |rule: &&Rule| architectures.iter().any(|name| rule.fits_architecture(name));
        let misspelled = self.rules.iter().find(|rule| !fits(rule));
        match misspelled.and_then(|rule| rule.architecture.as_ref()) {
            Some(name) => Err(Error::value(
                "rules.architecture",
                format!("{name:?}"),
                format!("expected one of these or a pattern: {}", architectures.join(", ")),
            )),
            None => Ok(()),
        }
    }

    /// Checks the presets' sizes and the names of presets in rules.
    pub(crate) fn check_presets(&self) -> Result<(), Error> {
        let mut names: HashSet<&str> = builtin::names().collect();
        for preset in &self.presets {
            preset.check()?;
            if !names.insert(&preset.name) {
                return Err(Error::value(
                    "presets.name",
                    format!("{:?}", preset.name),
                    "this name is taken; choose another",
                ));
            }
        }
        for name in self.rules.iter().flat_map(|rule| &rule.presets) {
            if !names.contains(name.as_str()) {
                let mut known: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
                known.sort_unstable();
                let wanted = format!("expected one of: {}", known.join(", "));
                return Err(Error::value("rules.presets", format!("{name:?}"), wanted));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        let config: Config = toml::from_str(&format!("models_dirs = ['/m']\n{text}")).unwrap();
        config.check().unwrap();
        config
    }

    fn names(config: &Config, architecture: &str, path: &str) -> Vec<String> {
        let presets = config.presets_for(architecture, Family::Sd, Path::new(path));
        presets.into_iter().map(|preset| preset.name).collect()
    }

    #[test]
    fn the_first_matching_rule_applies() {
        let config = config(
            r"
            [[presets]]
            name = 'tall'
            width = 512
            height = { min = 768, opt = 1024, max = 1152 }
            batch = 1
            tokens = { min = 75, opt = 75, max = 225 }
            [[rules]]
            folder = 'off'
            [[rules]]
            architecture = 'sd2*'
            presets = ['tall', 'default']
            [[rules]]
            name = '*turbo*'
            presets = ['512x512 | Batch Size 1 (Static)']
            ",
        );
        for (architecture, path, expected) in [
            ("sd1", "/m/a.ckpt", &["default", "dynamic"][..]),
            ("sd1", "/m/off/a.ckpt", &[]),
            ("sd2", "/m/off/a.ckpt", &[]),
            ("sd2", "/m/turbo.ckpt", &["tall", "default"]),
            ("sd2-depth", "/m/a.ckpt", &["tall", "default"]),
            ("sd1", "/m/a-turbo.ckpt", &["512x512 | Batch Size 1 (Static)"]),
        ] {
            assert_eq!(names(&config, architecture, path), expected, "{architecture} {path}");
        }
        let tall = &config.presets_for("sd2", Family::Sd, Path::new("/m/a"))[0];
        assert_eq!((tall.width, tall.height.max), (Range::new(512, 512, 512), 1152));
    }

    #[test]
    fn the_default_presets_depend_on_the_family() {
        let config = config("");
        let widths = |family| -> Vec<Range> {
            let presets = config.presets_for("any", family, Path::new("/m/a"));
            presets.into_iter().map(|preset| preset.width).collect()
        };
        assert_eq!(widths(Family::Sd), [Range::new(512, 512, 768), Range::new(512, 1024, 2048)]);
        assert_eq!(
            widths(Family::Sdxl),
            [Range::new(768, 1024, 1024), Range::new(768, 1024, 2048)]
        );
    }

    #[test]
    fn every_built_in_preset_is_valid_and_found() {
        for name in builtin::names() {
            for family in [Family::Sd, Family::Sdxl] {
                builtin::find(name, family).unwrap().check().unwrap();
            }
        }
    }

    #[test]
    fn impossible_sizes_are_refused_with_the_nearest_possible_one() {
        let preset = |changed: &str| {
            let mut lines = vec!["name = 'p'", "width = 512", "height = 512", "batch = 1"];
            lines.push("tokens = 75");
            let key = changed.split_once(' ').unwrap().0;
            lines.retain(|line| !line.starts_with(key));
            lines.push(changed);
            format!("models_dirs = ['/m']\n[[presets]]\n{}", lines.join("\n"))
        };
        let rule = "models_dirs = ['/m']\n[[rules]]\npresets = ['defualt']".to_owned();
        for (text, said) in [
            (
                preset("width = 500"),
                "presets.p.width.min = 500: expected a multiple of 64 up to 4096; 512",
            ),
            (preset("height = { min = 512, opt = 512, max = 700 }"), "presets.p.height.max = 700"),
            (
                preset("tokens = 77"),
                "presets.p.tokens.min = 77: expected a multiple of 75 up to 750; 75",
            ),
            (preset("batch = 0"), "presets.p.batch.min = 0: expected 1 to 32; 1"),
            (preset("batch = { min = 3, opt = 2, max = 4 }"), "min ≤ opt ≤ max"),
            (preset("name = ''"), "expected a name"),
            (preset("name = 'default'"), "taken"),
            (rule, "\"defualt\": expected one of: \"1024x1024"),
        ] {
            let config: Config = toml::from_str(&text).unwrap();
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains(said), "{text}\n{error}");
        }
        let error = toml::from_str::<Config>(&preset("batch = 'two'")).unwrap_err().to_string();
        assert!(error.contains("a number, or { min"), "{error}");
    }
}
