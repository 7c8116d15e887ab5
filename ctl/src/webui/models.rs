//! Where a web UI looks for checkpoints, by its flags.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{
    FrontEnd, comfyui,
    folders::{value, values},
};

/// The folder of checkpoints in one of models.
const CHECKPOINTS: &str = "Stable-diffusion";

/// ComfyUI's folders of models that have a UNet.
const COMFYUIS: [&str; 3] = ["checkpoints", "diffusion_models", "unet"];

/// The folders that a web UI in `path`, with this folder for its data, looks into.
pub(super) fn dirs(
    front_end: FrontEnd,
    path: &Path,
    data: &Path,
    flags: &[String],
) -> Result<Vec<PathBuf>> {
    let given = |name| value(flags, name).map(|dir| path.join(dir));
    // Each is named after what it replaces.
    let (mut dirs, own) = if front_end == FrontEnd::ForgeNeo {
        (neos(path, flags)?, given("--model-ref"))
    } else {
        let others = given("--forge-ref-a1111-home").filter(|_| front_end != FrontEnd::A1111);
        let others = others.map(|home| home.join("models").join(CHECKPOINTS));
        let first = given("--ckpt-dir").or_else(|| others.filter(|dir| dir.exists()));
        (first.into_iter().collect(), given("--models-dir"))
    };
    let own = own.unwrap_or_else(|| data.join("models")).join(CHECKPOINTS);
    dirs.push(own);
    let mut seen = HashSet::new();
    dirs.retain(|dir| seen.insert(dir.clone()));
    Ok(dirs)
}

/// Those that Forge Neo looks into beside its own, in its order.
fn neos(path: &Path, flags: &[String]) -> Result<Vec<PathBuf>> {
    let mut dirs: Vec<_> =
        values(flags, "--ckpt-dirs").into_iter().map(|dir| path.join(dir)).collect();
    let home = |name| value(flags, name).map(|home| path.join(home));
    if let Some(home) = home("--forge-ref-a1111-home") {
        dirs.extend(within(&home, CHECKPOINTS));
    }
    if let Some(home) = home("--forge-ref-comfy-home") {
        dirs.extend(COMFYUIS.iter().filter_map(|name| within(&home, name)));
    }
    if let Some(file) = home("--forge-ref-comfy-yaml") {
        let named = || file.display().to_string();
        let text = fs::read_to_string(&file).with_context(named)?;
        dirs.extend(comfyui::added(&text, path).with_context(named)?);
    }
    Ok(dirs)
}

/// A folder of models in another program's home, or in its folder of models.
fn within(home: &Path, name: &str) -> Option<PathBuf> {
    [home.join(name), home.join("models").join(name)].into_iter().find(|dir| dir.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(front_end: FrontEnd, path: &Path, flags: &str) -> Vec<String> {
        let flags = shlex::split(flags).unwrap();
        let dirs = dirs(front_end, path, path, &flags).unwrap();
        let below = |dir: &PathBuf| dir.strip_prefix(path).unwrap_or(dir).display().to_string();
        dirs.iter().map(below).collect()
    }

    #[test]
    fn folders_that_flags_name() {
        let dir = tempfile::tempdir().unwrap();
        let own = "models/Stable-diffusion";
        for made in
            ["a/models/Stable-diffusion", "c/models/checkpoints", "c/unet", "b/Stable-diffusion"]
        {
            fs::create_dir_all(dir.path().join(made)).unwrap();
        }
        let yaml = "comfy:\n  base_path: /y\n  checkpoints: m\n  unet: [u, v]\n";
        fs::write(dir.path().join("paths.yaml"), yaml).unwrap();
        for (front_end, flags, dirs) in [
            (FrontEnd::A1111, "--ckpt-dir /x --forge-ref-a1111-home a", &["/x", own][..]),
            (FrontEnd::A1111, "--forge-ref-a1111-home a --ckpt-dirs /x", &[own]),
            (FrontEnd::Forge, "--forge-ref-a1111-home a", &["a/models/Stable-diffusion", own]),
            (FrontEnd::ReForge, "--forge-ref-a1111-home a", &["a/models/Stable-diffusion", own]),
            (FrontEnd::ReForge, "--forge-ref-a1111-home a --ckpt-dir /x", &["/x", own]),
            (FrontEnd::ReForge, "--forge-ref-a1111-home absent", &[own]),
            (FrontEnd::Forge, "--models-dir /m", &["/m/Stable-diffusion"]),
            (FrontEnd::ForgeNeo, "", &[own]),
            (FrontEnd::ForgeNeo, "--ckpt-dirs /x --ckpt-dirs=y --ckpt-dirs /x", &["/x", "y", own]),
            (FrontEnd::ForgeNeo, "--model-ref /srv/models", &["/srv/models/Stable-diffusion"]),
            (FrontEnd::ForgeNeo, "--forge-ref-a1111-home a", &["a/models/Stable-diffusion", own]),
            (FrontEnd::ForgeNeo, "--forge-ref-a1111-home b", &["b/Stable-diffusion", own]),
            (
                FrontEnd::ForgeNeo,
                "--forge-ref-comfy-home c",
                &["c/models/checkpoints", "c/unet", own],
            ),
            (
                FrontEnd::ForgeNeo,
                "--forge-ref-comfy-yaml paths.yaml",
                &["/y/m", "/y/u", "/y/v", own],
            ),
        ] {
            assert_eq!(found(front_end, dir.path(), flags), dirs, "{front_end:?} {flags}");
        }
        let flags = ["--forge-ref-comfy-yaml".to_owned(), "absent.yaml".to_owned()];
        let error = dirs(FrontEnd::ForgeNeo, dir.path(), dir.path(), &flags).unwrap_err();
        assert!(format!("{error:#}").contains("absent.yaml: "), "{error:#}");
    }
}
