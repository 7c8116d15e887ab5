//! Which files may be checkpoints, by name.

use std::{ffi::OsStr, path::Path};

/// Whether A1111 would list the file as a checkpoint, judging by its name alone.
///
/// True for `.safetensors` and `.ckpt` in any case, except a VAE beside its checkpoint (`.vae.safetensors`,
/// `.vae.ckpt`). A download in progress has another extension (`.part`, `.tmp`, `.crdownload`, …).
pub fn is_checkpoint_name(path: &Path) -> bool {
    let is = |extension: Option<&OsStr>, name: &str| {
        extension.is_some_and(|extension| extension.eq_ignore_ascii_case(name))
    };
    let extension = path.extension();
    let inner = path.file_stem().map(Path::new).and_then(Path::extension);
    (is(extension, "safetensors") || is(extension, "ckpt")) && !is(inner, "vae")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, expected) in [
            ("model.safetensors", true),
            ("a/b.c/model.v1.CKPT", true),
            ("MODEL.SafeTensors", true),
            ("vae.ckpt", true),
            ("model.vae.safetensors", false),
            ("model.VAE.ckpt", false),
            ("model.pt", false),
            ("model", false),
            (".safetensors", false),
            ("model.safetensors.part", false),
            ("model.safetensors.crdownload", false),
            ("model.ckpt.aria2", false),
            ("model.safetensors.tmp", false),
            ("model.safetensors.download", false),
            ("", false),
        ] {
            assert_eq!(is_checkpoint_name(Path::new(name)), expected, "{name}");
        }
    }
}
