//! Web UIs on this machine, judged by their folders.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Error, Result};
use serde_json::Value;

use super::{Folders, places::search};

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
    /// The one in this folder, if there is one; its settings may not be understood.
    fn at(dir: &Path) -> Option<Result<Self>> {
        Folders::are_in(dir).then(|| Self::with(Folders::of(dir)?))
    }

    fn with(folders: Folders) -> Result<Self> {
        let entries = fs::read_dir(&folders.extensions).into_iter().flatten().flatten();
        let settings = fs::read(folders.data.join("config.json")).unwrap_or_default();
        Ok(Self {
            extensions: entries
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect(),
            settings: serde_json::from_slice(&settings).unwrap_or_default(),
            folders,
        })
    }

    pub(crate) fn has_flag(&self, name: &str) -> bool {
        self.folders.has_flag(name)
    }
}

/// Web UIs, and why others could not be understood.
#[derive(Debug, Default)]
pub(crate) struct All {
    pub(crate) found: Vec<Found>,
    pub(crate) unclear: Vec<Error>,
}

impl All {
    /// Whether there is one in this folder.
    fn take(&mut self, dir: &Path) -> bool {
        let webui = Found::at(dir);
        let is_it = webui.is_some();
        match webui {
            Some(Ok(found)) => self.found.push(found),
            Some(Err(error)) => self.unclear.push(error),
            None => {}
        }
        is_it
    }
}

/// The web UIs that these folders of checkpoints belong to.
pub(crate) fn around(models_dirs: &[PathBuf]) -> All {
    let above = models_dirs.iter().flat_map(|dir| dir.ancestors());
    let dirs: BTreeSet<&Path> = above.collect();
    let mut all = All::default();
    for dir in dirs {
        all.take(dir);
    }
    all
}

/// Web UIs where people and launchers put them.
pub(crate) fn installed(home: &Path) -> All {
    let mut all = All::default();
    search(home, |dir| all.take(dir));
    all.found.sort_by(|a, b| a.folders.webui.path.cmp(&b.folders.webui.path));
    all.found.dedup_by(|a, b| a.folders.webui.path == b.folders.webui.path);
    all
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
        let found: Vec<_> = installed(&home)
            .found
            .into_iter()
            .filter(|webui| webui.folders.webui.path == dir)
            .collect();
        assert_eq!(found.len(), 1);
        assert!(found[0].extensions.contains("sd-webui-controlnet"));
        assert_eq!(found[0].settings["sd_unet"], "None");
        assert!(found[0].has_flag("--api") && !found[0].has_flag("--lowvram"));
        assert_eq!(around(&found[0].folders.webui.models_dirs).found, found);
        fs::write(dir.join("webui-user.sh"), "COMMANDLINE_ARGS=$(cat flags)").unwrap();
        let unclear = installed(&home).unclear.into_iter().map(|error| format!("{error:#}"));
        let [unclear] = &unclear.collect::<Vec<_>>()[..] else { panic!("not one") };
        assert!(
            unclear.contains("ai/webui/webui-user.sh") && unclear.contains("line 1"),
            "{unclear}"
        );
    }
}
