//! Which front end a folder holds.

use std::{fs, path::Path};

use anyhow::{Result, bail};

/// Has been there since 1.6, the first version of A1111 that this works with.
const A1111: &str = "modules/sd_unet.py";

/// What Forge's family has beside it.
const FORGE: &str = "modules_forge";

/// Says which of the family it is.
const VERSION: &str = "modules_forge/forge_version.py";

/// What holds the family's model patchers: reForge's and that of Forges up to 2024, and Forge's and Forge Neo's since.
const PATCHERS: [&str; 2] = ["ldm_patched/modules/model_patcher.py", "backend/patcher/base.py"];

const COMFYUI: &str = "comfy/model_patcher.py";

/// A program that makes images, and how engines come into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrontEnd {
    /// AUTOMATIC1111's web UI: as an extension.
    A1111,
    /// lllyasviel's Forge and those built on it: as the same extension.
    Forge,
    /// The one with the same extension, and folders of its own.
    ForgeNeo,
    /// With older patchers.
    ReForge,
    /// ComfyUI: as a custom node.
    ComfyUi,
}

impl FrontEnd {
    /// All of them.
    pub(super) const ALL: [Self; 5] =
        [Self::A1111, Self::Forge, Self::ForgeNeo, Self::ReForge, Self::ComfyUi];

    /// The one in this folder, if there is one.
    pub(super) fn find(path: &Path) -> Option<Self> {
        let has = |name: &str| path.join(name).is_file();
        if path.join(FORGE).is_dir() {
            let version = fs::read_to_string(path.join(VERSION)).unwrap_or_default();
            return match PATCHERS.map(has) {
                _ if version.contains("neo") => Some(Self::ForgeNeo),
                [true, _] => Some(Self::ReForge),
                [_, true] => Some(Self::Forge),
                [false, false] => None,
            };
        }
        if has(A1111) {
            return Some(Self::A1111);
        }
        has(COMFYUI).then_some(Self::ComfyUi)
    }

    /// The one in this folder.
    pub(super) fn at(path: &Path) -> Result<Self> {
        let named = path.display();
        if let Some(found) = Self::find(path) {
            return Ok(found);
        }
        if path.join(FORGE).is_dir() {
            bail!(
                "{named} is built like Forge, but has no model patchers where engines could come in"
            );
        }
        bail!(
            "{named} is not the folder of AUTOMATIC1111's web UI, version 1.6 or newer, nor that of Forge, reForge, \
             Forge Neo or ComfyUI: neither {A1111} nor {FORGE} nor {COMFYUI} is there"
        )
    }

    /// What people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::A1111 => "AUTOMATIC1111's web UI",
            Self::Forge => "Forge",
            Self::ForgeNeo => "Forge Neo",
            Self::ReForge => "reForge",
            Self::ComfyUi => "ComfyUI",
        }
    }

    /// The links that make it use the engines: each one's name, and what it leads to in the installed extension.
    pub(super) fn links(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::A1111 | Self::Forge | Self::ForgeNeo | Self::ReForge => &[
                ("install.py", "install.py"),
                ("javascript", "javascript"),
                ("scripts", "scripts"),
                ("sdtrt", "sdtrt"),
                ("style.css", "style.css"),
            ],
            Self::ComfyUi => &[
                ("__init__.py", "comfyui/__init__.py"),
                ("example_workflows", "comfyui/example_workflows"),
                ("requirements.txt", "requirements.txt"),
                ("sdtrt", "sdtrt"),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes these files, each with its text.
    fn with(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let file = dir.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        dir
    }

    #[test]
    fn a_front_end_is_known_by_its_files() {
        let unet = ("modules/sd_unet.py", "");
        let (new, old) =
            (("backend/patcher/base.py", ""), ("ldm_patched/modules/model_patcher.py", ""));
        for (files, found) in [
            (&[unet][..], Ok(FrontEnd::A1111)),
            (&[("comfy/model_patcher.py", ""), ("main.py", "")], Ok(FrontEnd::ComfyUi)),
            (&[unet, new, (VERSION, "version = '2.0.1v1.10.1'")], Ok(FrontEnd::Forge)),
            (
                &[unet, new, (VERSION, "version = \"neo\"\nrelease = \"2.26\"\n")],
                Ok(FrontEnd::ForgeNeo),
            ),
            (&[unet, old, (VERSION, "version = '1.0.0v2-v1.10.1RC'")], Ok(FrontEnd::ReForge)),
            (&[new, ("modules_forge/a.py", "")], Ok(FrontEnd::Forge)),
            (&[unet, ("modules_forge/a.py", "")], Err("is built like Forge, but")),
            (&[("main.py", "")], Err("Forge Neo or ComfyUI")),
        ] {
            let dir = with(files);
            match (FrontEnd::at(dir.path()), found) {
                (Ok(is), Ok(should)) => assert_eq!(is, should, "{files:?}"),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (is, should) => panic!("{files:?}: {is:?} instead of {should:?}"),
            }
            assert_eq!(FrontEnd::find(dir.path()), found.ok());
        }
    }
}
