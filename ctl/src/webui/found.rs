//! Web UIs on this machine, judged by their folders.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::Folders;

/// Depth of the search for web UIs below a home: enough for `~/ai/webui`, and quick.
const DEPTH: usize = 2;

/// Other common places for programs.
const ELSEWHERE: [&str; 3] = ["/opt", "/srv", "/usr/local"];

/// A web UI, its extensions and its settings.
#[derive(Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) folders: Folders,
    /// The folders of its extensions.
    pub(crate) extensions: BTreeSet<String>,
    /// Its settings; null if it has never run.
    pub(crate) settings: Value,
}

impl Found {
    fn at(dir: &Path) -> Option<Self> {
        let folders = Folders::of(dir).ok()?;
        let entries = fs::read_dir(&folders.extensions).into_iter().flatten().flatten();
        let settings = fs::read(folders.data.join("config.json")).unwrap_or_default();
        Some(Self {
            extensions: entries
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect(),
            settings: serde_json::from_slice(&settings).unwrap_or_default(),
            folders,
        })
    }

    pub(crate) fn has_flag(&self, name: &str) -> bool {
        self.folders.flags.iter().any(|flag| flag == name)
    }
}

/// The web UIs that these folders of checkpoints belong to.
pub(crate) fn around(models_dirs: &[PathBuf]) -> Vec<Found> {
    let above = models_dirs.iter().flat_map(|dir| dir.ancestors());
    let dirs: BTreeSet<&Path> = above.collect();
    dirs.into_iter().filter_map(Found::at).collect()
}

/// Web UIs where people put them.
pub(crate) fn installed(home: &Path) -> Vec<Found> {
    let mut found = Vec::new();
    look_below(home, DEPTH, &mut found);
    for dir in ELSEWHERE {
        look_below(Path::new(dir), 1, &mut found);
    }
    found.sort_by(|a: &Found, b| a.folders.webui.path.cmp(&b.folders.webui.path));
    found
}

fn look_below(dir: &Path, depth: usize, found: &mut Vec<Found>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !is_dir || entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        match Found::at(&entry.path()) {
            Some(webui) => found.push(webui),
            None if depth > 1 => look_below(&entry.path(), depth - 1, found),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_web_ui_is_found_below_a_home_and_around_its_models() {
        let temp = tempfile::tempdir().unwrap();
        let home = temp.path().canonicalize().unwrap();
        let dir = home.join("ai/webui");
        for below in ["modules", "extensions/sd-webui-controlnet", "models/Stable-diffusion"] {
            fs::create_dir_all(dir.join(below)).unwrap();
        }
        fs::write(dir.join("modules/sd_unet.py"), "").unwrap();
        fs::write(dir.join("webui-user.sh"), "export COMMANDLINE_ARGS=\"--api\"").unwrap();
        fs::write(dir.join("config.json"), "{\"sd_unet\": \"None\"}").unwrap();
        let found: Vec<_> =
            installed(&home).into_iter().filter(|webui| webui.folders.webui.path == dir).collect();
        assert_eq!(found.len(), 1);
        assert!(found[0].extensions.contains("sd-webui-controlnet"));
        assert_eq!(found[0].settings["sd_unet"], "None");
        assert!(found[0].has_flag("--api") && !found[0].has_flag("--lowvram"));
        assert_eq!(around(&found[0].folders.webui.models_dirs), found);
    }
}
