use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wildmatch::WildMatch;

use crate::EngineKind;

/// Which presets some checkpoints get. An absent condition matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// Name of the architecture as shown by `sdtrtctl list`; `*` and `?` are wildcards.
    pub architecture: Option<String>,
    /// A folder, including subfolders: absolute, or below a models folder.
    pub folder: Option<PathBuf>,
    /// The file's name; `*` and `?` are wildcards, and case is ignored.
    pub name: Option<String>,
    /// Names of the presets; empty for no engine at all.
    pub presets: Vec<String>,
    /// Where the engine's weights are, if different from the default.
    pub engines: Option<EngineKind>,
}

impl Rule {
    /// Whether it matches a checkpoint with this architecture at `path`, below one of `models_dirs`.
    pub(super) fn fits(&self, architecture: &str, path: &Path, models_dirs: &[PathBuf]) -> bool {
        self.fits_architecture(architecture)
            && self.folder.as_deref().is_none_or(|folder| is_below(path, folder, models_dirs))
            && self.name.as_deref().is_none_or(|pattern| {
                let name = path.file_name().map(|name| name.to_string_lossy());
                name.is_some_and(|name| WildMatch::new_case_insensitive(pattern).matches(&name))
            })
    }

    /// Whether it can match a checkpoint with this architecture.
    pub fn fits_architecture(&self, architecture: &str) -> bool {
        let pattern = self.architecture.as_deref();
        pattern.is_none_or(|pattern| WildMatch::new(pattern).matches(architecture))
    }
}

fn is_below(path: &Path, folder: &Path, models_dirs: &[PathBuf]) -> bool {
    // Joining an absolute folder replaces the base.
    models_dirs.iter().any(|dir| path.starts_with(dir.join(folder)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_condition_must_hold() {
        let dirs = [PathBuf::from("/m"), PathBuf::from("/n")];
        let rule = |architecture: Option<&str>, folder: Option<&str>, name: Option<&str>| Rule {
            architecture: architecture.map(Into::into),
            folder: folder.map(Into::into),
            name: name.map(Into::into),
            presets: Vec::new(),
            engines: None,
        };
        for (rule, expected) in [
            (rule(None, None, None), true),
            (rule(Some("sdxl"), None, None), true),
            (rule(Some("sd*"), None, None), true),
            (rule(Some("sdx"), None, None), false),
            (rule(None, Some("anime"), None), true),
            (rule(None, Some("/m/anime"), None), true),
            (rule(None, Some("/m"), None), true),
            (rule(None, Some("anim"), None), false),
            (rule(None, Some("/n/anime"), None), false),
            (rule(None, None, Some("*turbo*")), true),
            (rule(None, None, Some("turbo")), false),
            (rule(None, Some("anime"), Some("*lcm*")), false),
        ] {
            let path = Path::new("/m/anime/deep/My-Turbo.safetensors");
            assert_eq!(rule.fits("sdxl", path, &dirs), expected, "{rule:?}");
        }
    }
}
