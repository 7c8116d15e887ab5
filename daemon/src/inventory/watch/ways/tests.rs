use std::{
    fs,
    os::unix::fs::symlink,
    path::PathBuf,
    sync::mpsc::{self, Receiver},
    time::Duration,
};

use super::*;

/// What has not come by then will not come.
const PATIENCE: Duration = Duration::from_secs(20);

struct Watched {
    ways: Ways,
    heard: Receiver<Arc<Path>>,
    round: u64,
}

impl Watched {
    fn new() -> Self {
        let (sender, heard) = mpsc::channel();
        let ways = Ways::new(move |dir| drop(sender.send(dir)));
        Self { ways, heard, round: 0 }
    }

    /// Watches the way to `dir`, and forgets what was heard before.
    fn look(&mut self, dir: &Path) {
        self.round += 1;
        assert!(self.ways.watch(&dir.into(), self.round, &Way::of(dir)));
        self.ways.finish(dir, self.round);
        self.so_far();
    }

    /// What was heard before an event that comes now.
    fn so_far(&self) -> Vec<Arc<Path>> {
        let folder = tempfile::tempdir().unwrap();
        let sign: Arc<Path> = folder.path().join("sign").into();
        assert!(self.ways.watch(&sign, 0, &Way::of(&sign)));
        fs::write(&sign, "").unwrap();
        let next = || self.heard.recv_timeout(PATIENCE).unwrap();
        let heard: Vec<_> =
            std::iter::from_fn(|| Some(next()).filter(|heard| *heard != sign)).collect();
        self.ways.forget(&sign);
        // One of an earlier call may have come late.
        heard.into_iter().filter(|heard| !heard.ends_with("sign")).collect()
    }

    fn hears(&self, dir: &Path, what: &str) {
        let heard = || self.heard.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{what}"));
        while *heard() != *dir {}
    }
}

#[test]
fn whatever_leads_a_way_elsewhere_is_heard() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path().canonicalize().unwrap();
    let at = |name: &str| root.join(name);
    for folder in ["a/b/models", "other/b/models", "new"] {
        fs::create_dir_all(at(folder)).unwrap();
    }
    symlink(at("a/b"), at("link")).unwrap();
    symlink("link/models", at("second")).unwrap();
    let mut watched = Watched::new();
    type Row<'a> = (&'a str, PathBuf, &'a dyn Fn());
    let mv = |from: &str, to: &str| fs::rename(at(from), at(to)).unwrap();
    let rows: [Row<'_>; 9] = [
        ("a folder around it moved away", at("a/b/models"), &|| mv("a", "aside")),
        ("and back", at("a/b/models"), &|| mv("aside", "a")),
        ("the folder around it replaced", at("a/b/models"), &|| {
            mv("a/b", "a/old");
            mv("other/b", "a/b");
        }),
        ("a link in its path led elsewhere", at("link/models"), &|| {
            symlink(at("a/old"), at("newer")).unwrap();
            mv("newer", "link");
        }),
        ("the target of a link of a link", at("second"), &|| mv("a/old/models", "a/old/aside")),
        ("and back", at("second"), &|| mv("a/old/aside", "a/old/models")),
        ("the first of several that come", at("new/x/y/models"), &|| {
            fs::create_dir(at("new/x")).unwrap();
        }),
        ("and the next", at("new/x/y/models"), &|| fs::create_dir(at("new/x/y")).unwrap()),
        ("rights", at("new/x/y"), &|| {
            let rights = fs::metadata(at("new/x")).unwrap().permissions();
            fs::set_permissions(at("new/x"), rights).unwrap();
        }),
    ];
    for (what, dir, change) in rows {
        watched.look(&dir);
        change();
        watched.hears(&dir, what);
    }
}

#[test]
fn a_busy_folder_on_the_way_disturbs_nobody() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("models");
    fs::create_dir(&dir).unwrap();
    let mut watched = Watched::new();
    watched.look(&dir);
    fs::write(root.path().join("something"), "x").unwrap();
    fs::remove_file(root.path().join("something")).unwrap();
    fs::write(dir.join("a.safetensors"), "x").unwrap();
    assert_eq!(watched.so_far(), []);
    fs::remove_dir_all(&dir).unwrap();
    watched.hears(&dir, "removed");
}

#[test]
fn what_leads_nowhere_any_more_is_not_watched() {
    let root = tempfile::tempdir().unwrap();
    let [one, other] = ["one/models", "other/models"].map(|name| root.path().join(name));
    let link: PathBuf = root.path().join("link");
    for folder in [&one, &other] {
        fs::create_dir_all(folder).unwrap();
    }
    symlink(&one, &link).unwrap();
    let mut watched = Watched::new();
    watched.look(&link);
    let before = watched.ways.count();
    fs::remove_file(&link).unwrap();
    symlink(&other, &link).unwrap();
    watched.look(&link);
    assert_eq!(watched.ways.count(), before, "as many as before");
    fs::remove_dir_all(root.path().join("one")).unwrap();
    watched.ways.forget(&link);
    assert_eq!(watched.ways.count(), 0);
}
