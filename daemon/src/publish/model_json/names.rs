//! A web UI's names for the checkpoints in its folders.

use std::path::{Path, PathBuf};

/// A checkpoint's name for the setting 'Automatic': the path below the folder, with `_` for `/`, without its
/// extension.
pub(super) fn model_name(path: &Path, roots: &[PathBuf]) -> Option<String> {
    let below = roots.iter().find_map(|root| path.strip_prefix(root).ok())?;
    Some(below.with_extension("").to_str()?.replace('/', "_"))
}

/// The name by which the extension looks up engines: the file's, without its extension.
pub(super) fn base_name(path: &Path) -> Option<String> {
    Some(path.file_stem()?.to_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_names() {
        let roots = [PathBuf::from("/m"), PathBuf::from("/extra")];
        for (path, model, base) in [
            ("/m/a.safetensors", Some("a"), "a"),
            ("/m/sub/deep/a.v2.ckpt", Some("sub_deep_a.v2"), "a.v2"),
            ("/extra/b.ckpt", Some("b"), "b"),
            ("/else/b.ckpt", None, "b"),
        ] {
            let path = Path::new(path);
            assert_eq!(model_name(path, &roots).as_deref(), model, "{path:?}");
            assert_eq!(base_name(path).as_deref(), Some(base), "{path:?}");
        }
    }
}
