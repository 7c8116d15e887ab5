//! What in the models folders is no checkpoint of anybody's: trash, old versions, downloads under way.

use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// In gitignore's form, upper and lower case alike; the key `ignore` adds to them. `config/sdtrtd.toml` lists them.
pub const IGNORED: [&str; 22] = [
    // Trash, versions, snapshots and caches of most programs, and macOS' AppleDouble files.
    ".*",
    "lost+found/",
    "found.[0-9][0-9][0-9]/",
    // Windows.
    "$RECYCLE.BIN/",
    "RECYCLER/",
    "RECYCLED/",
    "System Volume Information/",
    // macOS.
    "__MACOSX/",
    "Network Trash Folder/",
    "Temporary Items/",
    // Synology, QNAP and NetApp.
    r"\#recycle/",
    r"\#snapshot/",
    "@eaDir/",
    "@tmp/",
    "@Recycle/",
    "@Recently-Snapshot/",
    "~snapshot/",
    // Nextcloud.
    "files_trashbin/",
    "files_versions/",
    // Downloads and synchronization under way.
    "*.download/",
    "~syncthing~*",
    "~$*",
];

/// Tells what in a models folder is ignored.
#[derive(Clone, Debug)]
pub struct Ignored(Gitignore);

impl Ignored {
    /// What is ignored by itself, and `own` lines in gitignore's form, of which the last that matches decides.
    ///
    /// # Errors
    /// For a line that is no such pattern: which, and why.
    pub fn new(own: &[String]) -> Result<Self, (String, String)> {
        let mut builder = GitignoreBuilder::new(".");
        // It can't fail; the crate has it so for later.
        let _ = builder.case_insensitive(true);
        for line in IGNORED {
            builder.add_line(None, line).map_err(|error| (line.to_owned(), error.to_string()))?;
        }
        let _ = builder.case_insensitive(false);
        for line in own {
            builder.add_line(None, line).map_err(|error| (line.clone(), error.to_string()))?;
        }
        builder.build().map(Self).map_err(|error| (own.join(", "), error.to_string()))
    }

    /// Nothing.
    pub(crate) fn nothing() -> Self {
        Self(Gitignore::empty())
    }

    /// Whether what lies at this path, as seen from the models folder, is ignored; that what is around it isn't is
    /// for the caller to know.
    pub fn hides(&self, path: &Path, is_folder: bool) -> bool {
        self.0.matched(path, is_folder).is_ignore()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ignored(own: &[&str]) -> Ignored {
        Ignored::new(&own.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn trash_versions_and_downloads_are_ignored() {
        let ignored = ignored(&[]);
        for (path, is_folder, hidden) in [
            ("a.safetensors", false, false),
            ("sub/a.safetensors", false, false),
            ("sub", true, false),
            ("trash", true, false),
            ("a$b", true, false),
            ("recycle", true, false),
            ("lost+found", false, false),
            ("lost+found", true, true),
            ("sub/lost+found", true, true),
            (".Trash-1000", true, true),
            (".stversions", true, true),
            (".snapshots", true, true),
            (".zfs", true, true),
            (".git", true, true),
            ("sub/.cache", true, true),
            (".~tmp~", true, true),
            ("._a.safetensors", false, true),
            ("sub/._a.safetensors", false, true),
            ("$RECYCLE.BIN", true, true),
            ("$Recycle.Bin", true, true),
            ("System Volume Information", true, true),
            ("#recycle", true, true),
            ("#snapshot", true, true),
            ("@eaDir", true, true),
            ("@Recycle", true, true),
            ("FOUND.000", true, true),
            ("a.safetensors.download", true, true),
            ("~syncthing~a.safetensors", false, true),
            ("~$a.safetensors", false, true),
        ] {
            assert_eq!(ignored.hides(Path::new(path), is_folder), hidden, "{path}");
        }
    }

    #[test]
    fn own_lines_add_to_them_and_give_back() {
        let ignored =
            ignored(&["# mine", "!.models/", "/old/", "*-test.safetensors", "!keep-test.*"]);
        for (path, is_folder, hidden) in [
            (".models", true, false),
            (".other", true, true),
            ("old", true, true),
            ("OLD", true, false),
            ("sub/old", true, false),
            ("a-test.safetensors", false, true),
            ("sub/a-test.safetensors", false, true),
            ("keep-test.safetensors", false, false),
        ] {
            assert_eq!(ignored.hides(Path::new(path), is_folder), hidden, "{path}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_named() {
        let (line, why) = Ignored::new(&["ok/".to_owned(), "{a".to_owned()]).unwrap_err();
        assert_eq!(line, "{a");
        assert!(!why.is_empty());
    }

    #[test]
    fn the_documented_file_lists_them() {
        for line in IGNORED {
            let plain = line.trim_start_matches('\\');
            assert!(crate::TEMPLATE.contains(plain), "{line}");
        }
    }
}
