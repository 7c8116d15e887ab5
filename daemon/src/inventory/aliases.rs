use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// As many links as the kernel follows.
const LINKS: usize = 40;

/// Other names of folders, and their listed names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aliases(BTreeMap<PathBuf, PathBuf>);

impl Aliases {
    /// Records that the folder at `folder` is listed as `known`.
    pub fn insert(&mut self, folder: PathBuf, known: PathBuf) {
        self.0.insert(folder, known);
    }

    /// And so are these.
    pub(super) fn extend(&mut self, others: &Self) {
        self.0.extend(others.0.clone());
    }

    /// Returns the path under which the file at `path` is listed, if it differs.
    pub fn listed(&self, path: &Path) -> Option<PathBuf> {
        let mut listed = None;
        for _ in 0..LINKS {
            let path = listed.as_deref().unwrap_or(path);
            let alias = path.ancestors().find_map(|folder| Some((folder, self.0.get(folder)?)));
            let Some((folder, known)) = alias else { break };
            let Ok(rest) = path.strip_prefix(folder) else { break };
            listed = Some(known.join(rest));
        }
        listed
    }

    /// Returns these paths and their other names: a user may use any of them.
    pub fn names_of<'a>(&self, paths: impl IntoIterator<Item = &'a Path>) -> Vec<PathBuf> {
        let mut names = Vec::new();
        for path in paths {
            names.push(path.to_owned());
            let others = self
                .0
                .iter()
                .filter_map(|(alias, known)| Some(alias.join(path.strip_prefix(known).ok()?)));
            names.extend(others);
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aliases(all: &[(&str, &str)]) -> Aliases {
        Aliases(all.iter().map(|(alias, known)| (alias.into(), known.into())).collect())
    }

    #[test]
    fn another_name_leads_to_the_one_that_is_listed() {
        let aliases = aliases(&[("/m/a/b", "/m/a"), ("/m/link", "/m/a"), ("/m/a/ring", "/m")]);
        for (path, listed) in [
            ("/m/a/x", None),
            ("/m/a/b/x", Some("/m/a/x")),
            ("/m/a/b/b/b/x", Some("/m/a/x")),
            ("/m/link/sub/x", Some("/m/a/sub/x")),
            ("/m/link/b/ring/link/x", Some("/m/a/x")),
            ("/m/linked/x", None),
        ] {
            assert_eq!(aliases.listed(Path::new(path)).as_deref(), listed.map(Path::new), "{path}");
        }
    }

    #[test]
    fn a_path_is_known_by_its_other_names() {
        let aliases = aliases(&[("/m/sub/real", "/m/link"), ("/m/other", "/m/link")]);
        let names = aliases.names_of([Path::new("/m/link/x"), Path::new("/m/y")]);
        let expected = ["/m/link/x", "/m/other/x", "/m/sub/real/x", "/m/y"];
        assert_eq!(names, expected.map(PathBuf::from));
        assert_eq!(Aliases::default().names_of([Path::new("/m/y")]), [Path::new("/m/y")]);
    }
}
