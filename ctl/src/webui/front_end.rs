//! Which front end a folder holds.

use std::path::Path;

use anyhow::{Result, bail};

/// Has been there since 1.6, the first version of A1111 that this works with.
const A1111: &str = "modules/sd_unet.py";

/// What Forge, reForge and Forge Neo have beside it.
const FORGE: &str = "modules_forge";

const COMFYUI: &str = "comfy/model_patcher.py";

/// A program that makes images, and how engines come into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrontEnd {
    /// AUTOMATIC1111's web UI: as an extension.
    A1111,
    /// ComfyUI: as a custom node.
    ComfyUi,
}

impl FrontEnd {
    /// The one in this folder.
    pub(super) fn at(path: &Path) -> Result<Self> {
        let named = path.display();
        if path.join(FORGE).is_dir() {
            bail!("{named} is Forge, or built like it: engines don't serve it yet");
        }
        if path.join(A1111).is_file() {
            return Ok(Self::A1111);
        }
        if path.join(COMFYUI).is_file() {
            return Ok(Self::ComfyUi);
        }
        bail!(
            "{named} is not the folder of AUTOMATIC1111's web UI, version 1.6 or newer, nor that of ComfyUI: \
             neither {A1111} nor {COMFYUI} is there"
        )
    }

    /// The links that make it use the engines: each one's name, and what it leads to in the installed extension.
    pub(super) fn links(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::A1111 => &[
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
    use std::fs;

    use super::*;

    #[test]
    fn a_front_end_is_known_by_its_files() {
        for (files, found) in [
            (&["modules/sd_unet.py"][..], Ok(FrontEnd::A1111)),
            (&["comfy/model_patcher.py", "main.py"], Ok(FrontEnd::ComfyUi)),
            (&["modules/sd_unet.py", "modules_forge/a.py"], Err("is Forge, or built like it")),
            (&["modules_forge/a.py"], Err("is Forge, or built like it")),
            (&["main.py"], Err("nor that of ComfyUI")),
        ] {
            let dir = tempfile::tempdir().unwrap();
            for file in files {
                let file = dir.path().join(file);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, "").unwrap();
            }
            match (FrontEnd::at(dir.path()), found) {
                (Ok(is), Ok(should)) => assert_eq!(is, should, "{files:?}"),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (is, should) => panic!("{files:?}: {is:?} instead of {should:?}"),
            }
        }
    }
}
