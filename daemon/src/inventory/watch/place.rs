use std::path::{Path, PathBuf};

use config::Ignored;

use crate::inventory::Stamp;

/// Returns the stamp of the checkpoint at `path`, in a folder below `models_dirs` that is not ignored; `None`
/// if there is none, or it is ignored.
pub(crate) fn look_at(path: &Path, models_dirs: &[PathBuf], ignored: &Ignored) -> Option<Stamp> {
    let mut below = models_dirs.iter().filter_map(|dir| path.strip_prefix(dir).ok()).peekable();
    if below.peek().is_some() && below.all(|below| ignored.hides(below, false)) {
        return None;
    }
    Stamp::of(path).ok().filter(|stamp| stamp.size > 0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_ignored_or_empty_is_none() {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in
            [("a.safetensors", "x"), ("empty.safetensors", ""), ("._a.safetensors", "x")]
        {
            fs::write(dir.path().join(name), content).unwrap();
        }
        let (dirs, ignored) = ([dir.path().to_owned()], Ignored::new(&[]).unwrap());
        for (name, is_one) in [
            ("a.safetensors", true),
            ("empty.safetensors", false),
            ("._a.safetensors", false),
            ("nowhere.safetensors", false),
        ] {
            let path = dir.path().join(name);
            assert_eq!(look_at(&path, &dirs, &ignored).is_some(), is_one, "{name}");
        }
    }
}
