//! ComfyUI's folders of models, with those that `extra_model_paths.yaml` adds.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use yaml_rust2::{Yaml, YamlLoader};

/// Beside ComfyUI's own files.
const MORE: &str = "extra_model_paths.yaml";

/// Kinds of models that have a UNet, by ComfyUI's names, and its own folders of them.
const KINDS: [(&str, &[&str]); 2] = [
    ("checkpoints", &["models/checkpoints"]),
    ("diffusion_models", &["models/diffusion_models", "models/unet"]),
];

/// An older name of the second kind.
const OLDER: &str = "unet";

/// Where the ComfyUI in `path` looks for models.
pub(super) fn models_dirs(path: &Path) -> Result<Vec<PathBuf>> {
    let file = path.join(MORE);
    let mut dirs: Vec<_> =
        KINDS.iter().flat_map(|(_, own)| own.iter().map(|dir| path.join(dir))).collect();
    match fs::read_to_string(&file) {
        Ok(text) => {
            for dir in added(&text, path).with_context(|| file.display().to_string())? {
                if !dirs.contains(&dir) {
                    dirs.push(dir);
                }
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).context(file.display().to_string()),
    }
    Ok(dirs)
}

/// The folders that the file adds; relative ones are from the folder that it lies in.
pub(super) fn added(text: &str, beside: &Path) -> Result<Vec<PathBuf>> {
    let mut dirs = Vec::new();
    for document in YamlLoader::load_from_str(text)? {
        for section in document.as_hash().into_iter().flat_map(|sections| sections.values()) {
            let base = match &section["base_path"] {
                Yaml::String(base) => beside.join(expanded(base)),
                _ => beside.to_owned(),
            };
            for kind in KINDS.map(|(kind, _)| kind).into_iter().chain([OLDER]) {
                // Forge Neo takes a list, ComfyUI a line for each.
                let listed = section[kind].as_vec().into_iter().flatten().filter_map(Yaml::as_str);
                let lines = section[kind].as_str().unwrap_or_default().lines().chain(listed);
                dirs.extend(
                    lines.filter(|line| !line.is_empty()).map(|line| plain(&base.join(line))),
                );
            }
        }
    }
    Ok(dirs)
}

/// With the home folder and variables put in, as Python does.
fn expanded(path: &str) -> PathBuf {
    let home = env::home_dir().unwrap_or_default();
    let path = match path.strip_prefix('~') {
        Some("") => home,
        Some(rest) if rest.starts_with('/') => home.join(&rest[1..]),
        _ => PathBuf::from(path),
    };
    let parts = path.iter().map(|part| {
        let name = part.to_str().and_then(|part| part.strip_prefix('$'));
        let name = name.map(|name| name.trim_start_matches('{').trim_end_matches('}'));
        name.and_then(env::var_os).unwrap_or_else(|| part.to_owned())
    });
    parts.collect()
}

/// Without `.` and a slash at the end.
fn plain(path: &Path) -> PathBuf {
    path.components().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let dirs = added(text, Path::new("/c")).unwrap();
        dirs.iter().map(|dir| dir.display().to_string()).collect()
    }

    #[test]
    fn folders_of_other_programs_are_found() {
        assert!(found("#comfyui:\n#  base_path: /x\n").is_empty());
        let text = "
a1111:
     base_path: /a1111/
     checkpoints: models/Stable-diffusion/
     loras: |
          models/Lora
stabilitymatrix:
    is_default: true
    base_path: ../Models
    diffusion_models: |
         unet

         /elsewhere/DiffusionModels
    unet: old
other:
    checkpoints: beside
empty:
";
        assert_eq!(
            found(text),
            [
                "/a1111/models/Stable-diffusion",
                "/c/../Models/unet",
                "/elsewhere/DiffusionModels",
                "/c/../Models/old",
                "/c/beside"
            ]
        );
        let home = env::home_dir().unwrap();
        assert_eq!(
            found("a:\n  base_path: ~/m\n  checkpoints: ./c\n"),
            [home.join("m/c").display().to_string()]
        );
        assert!(added("a: [\n", Path::new("/c")).is_err());
    }

    #[test]
    fn its_own_folders_come_first() {
        let dir = tempfile::tempdir().unwrap();
        let own = ["models/checkpoints", "models/diffusion_models", "models/unet"];
        let own = own.map(|name| dir.path().join(name));
        assert_eq!(models_dirs(dir.path()).unwrap(), own);
        fs::write(dir.path().join(MORE), "a:\n  checkpoints: |\n    models/checkpoints\n    /b\n")
            .unwrap();
        let more = models_dirs(dir.path()).unwrap();
        assert_eq!((&more[..3], &more[3..]), (&own[..], &[PathBuf::from("/b")][..]));
        fs::write(dir.path().join(MORE), "a: [").unwrap();
        let error = format!("{:#}", models_dirs(dir.path()).unwrap_err());
        assert!(error.contains("extra_model_paths.yaml: "), "{error}");
    }
}
