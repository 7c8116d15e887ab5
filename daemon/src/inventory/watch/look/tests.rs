use std::{fs, os::unix::fs::symlink};

use super::*;
use crate::inventory::Aliases;

fn ignored(own: &[&str]) -> Arc<Ignored> {
    let own: Vec<_> = own.iter().map(|line| (*line).to_owned()).collect();
    Arc::new(Ignored::new(&own).unwrap())
}

fn order(dir: &Path, disks: BTreeMap<PathBuf, Disk>) -> LookOrder {
    LookOrder {
        dir: dir.into(),
        nested: Vec::new(),
        round: 1,
        disks,
        ignored: ignored(&[]),
        notifier: Arc::new(Mutex::new(Notifier::new(|_| {}))),
        watched_elsewhere: 0,
        pulse: Arc::default(),
    }
}

/// What lies at `dir`, where these disks are known.
fn look(dir: &Path, disks: BTreeMap<PathBuf, Disk>) -> (Scan, BTreeMap<PathBuf, Stamp>) {
    let mut files = BTreeMap::new();
    let order = order(dir, disks);
    let scan = Eyes(Ways::new(|_| {})).look(&order, &mut |found| files.extend(found));
    (scan, files)
}

fn disk_at(place: &Path) -> Disk {
    Disk::of(place, &MountTable::read()).unwrap()
}

#[test]
fn an_empty_place_of_a_disk_is_no_deletion() {
    let dir = tempfile::tempdir().unwrap();
    let (models, disk) = (dir.path().join("models"), dir.path().join("models/disk"));
    fs::create_dir_all(&disk).unwrap();
    let look = || {
        let (scan, _) = look(&models, [(disk.clone(), Disk::named("/"))].into());
        let problem = scan.problem(&models);
        (scan.away.contains_key(&disk), scan.disks.contains_key(&disk), problem.is_some())
    };
    assert_eq!(look(), (true, true, true));
    fs::write(disk.join("a.safetensors"), "x").unwrap();
    assert_eq!(look(), (false, false, false), "it is an ordinary folder now");
    fs::remove_dir_all(&disk).unwrap();
    assert_eq!(look(), (false, false, false), "it is gone");
}

#[test]
fn an_empty_models_folder_without_its_disk_is_away() {
    let dir = tempfile::tempdir().unwrap();
    let models = dir.path();
    // What the folder was on when it was looked at last, and what lies in it now.
    let same = || disk_at(models);
    type Row<'a> = (&'a str, Option<Disk>, &'a [&'a str], bool);
    let rows: [Row<'_>; 5] = [
        ("emptied", Some(same()), &[], false),
        ("never seen before", None, &[], false),
        ("another disk", Some(Disk::named("/")), &[], true),
        ("with a note", Some(Disk::named("/")), &["DISK NOT MOUNTED"], true),
        ("used instead", Some(Disk::named("/")), &["a.safetensors"], false),
    ];
    for (what, known, files, is_away) in rows {
        for file in files {
            fs::write(models.join(file), "x").unwrap();
        }
        let disks = known.clone().map(|disk| (models.to_owned(), disk));
        let (scan, _) = look(models, disks.into_iter().collect());
        assert_eq!(scan.away.contains_key(models), is_away, "{what}");
        // What is known outlasts the look as long as the disk is away.
        let kept = if is_away { known.unwrap() } else { same() };
        assert_eq!(scan.disks.get(models), Some(&kept), "{what}");
    }
    // As Docker makes it anew after it was gone.
    let (gone, disks) = (models.join("gone"), [(models.join("gone"), Disk::named("/"))]);
    let (scan, _) = look(&gone, disks.clone().into());
    assert_eq!(scan.disks, disks.clone().into());
    fs::create_dir(&gone).unwrap();
    let (scan, _) = look(&gone, scan.disks);
    assert!(scan.away.contains_key(&gone));
    assert_eq!(scan.disks, disks.into());
}

#[test]
fn a_link_waits_for_its_disk_and_not_for_what_was_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for folder in ["models", "store/full", "empty"] {
        fs::create_dir_all(at(folder)).unwrap();
    }
    fs::write(at("store/full/kept"), "x").unwrap();
    let (file, folder) = (at("models/a.safetensors"), at("models/folder"));
    symlink(at("store/full/a.safetensors"), &file).unwrap();
    symlink(at("store/models"), &folder).unwrap();
    let both = [file.clone(), folder.clone()];
    let known = |disk: Disk| both.clone().map(|link| (link, disk.clone())).into();
    let away = |disks| look(&at("models"), disks).0.away.into_keys().collect::<Vec<_>>();
    assert_eq!(away(BTreeMap::new()), Vec::<PathBuf>::new(), "nothing is known of them");
    assert_eq!(
        away(known(disk_at(&at("store")))),
        Vec::<PathBuf>::new(),
        "deleted from a disk that is there"
    );
    assert_eq!(away(known(Disk::named("/"))), both, "its disk is not there");
    // As the place of a disk is that never was seen mounted.
    fs::remove_file(&file).unwrap();
    symlink(at("empty/a.safetensors"), &file).unwrap();
    assert_eq!(away(BTreeMap::new()), std::slice::from_ref(&file));

    fs::write(at("empty/a.safetensors"), "x").unwrap();
    fs::create_dir(at("store/models")).unwrap();
    fs::write(at("store/models/b.ckpt"), "x").unwrap();
    let (scan, files) = look(&at("models"), known(Disk::named("/")));
    assert!(scan.away.is_empty() && files.contains_key(&file), "{scan:?}");
    let real = scan.links.get(&folder);
    assert_eq!(real, Some(&at("store/models").canonicalize().unwrap()));
    assert_eq!(scan.disks[&folder], disk_at(&at("store")));
    assert!(scan.concerns(&at("empty").canonicalize().unwrap()), "mounts there show");
}

#[test]
fn finds_checkpoints_behind_links_and_survives_loops() {
    let dir = tempfile::tempdir().unwrap();
    let (models, other) = (dir.path().join("models"), dir.path().join("other"));
    fs::create_dir_all(models.join("sub")).unwrap();
    fs::create_dir_all(&other).unwrap();
    for path in [models.join("a.safetensors"), other.join("b.ckpt"), models.join("sub/c.part")] {
        fs::write(path, "x").unwrap();
    }
    fs::create_dir(models.join("folder.safetensors")).unwrap();
    symlink(&other, models.join("link")).unwrap();
    symlink(&models, models.join("sub/loop")).unwrap();
    symlink("nowhere", models.join("dangling.safetensors")).unwrap();
    symlink("itself.safetensors", models.join("itself.safetensors")).unwrap();
    symlink("../a.safetensors", models.join("sub/soft.safetensors")).unwrap();
    fs::hard_link(models.join("a.safetensors"), models.join("sub/hard.safetensors")).unwrap();

    let (scan, files) = look(&models, BTreeMap::new());

    let found: Vec<_> = files.keys().map(|path| path.strip_prefix(&models).unwrap()).collect();
    assert_eq!(
        found,
        [
            Path::new("a.safetensors"),
            Path::new("link/b.ckpt"),
            Path::new("sub/hard.safetensors"),
            Path::new("sub/soft.safetensors")
        ]
    );
    assert_eq!(files[&models.join("a.safetensors")], files[&models.join("sub/hard.safetensors")]);
    assert_eq!(scan.problem(&models), None);
    assert!(scan.away.is_empty());
}

#[test]
fn a_folder_that_is_not_there_is_a_problem_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let (here, gone) = (dir.path().join("here"), dir.path().join("gone"));
    // No file system takes such a name: looking fails, as it does without the right to.
    let hidden = dir.path().join("f".repeat(300));
    fs::create_dir(&here).unwrap();
    fs::write(here.join("a.safetensors"), "x").unwrap();
    let problem = |dir: &Path| {
        let (scan, files) = look(dir, BTreeMap::new());
        assert_eq!(scan.away.contains_key(dir), files.is_empty());
        scan.problem(dir).unwrap_or_default()
    };
    assert_eq!(problem(&here), "");
    assert!(problem(&gone).contains("does not exist"));
    assert!(problem(&hidden).contains("can't be listed"));
}

#[test]
fn a_models_folder_in_another_is_looked_at_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let (models, inner) = (dir.path(), dir.path().join("inner"));
    fs::create_dir(&inner).unwrap();
    fs::write(inner.join("a.safetensors"), "x").unwrap();
    let nested = vec![inner.as_path().into()];
    let order = LookOrder { nested, ..order(models, BTreeMap::new()) };
    let mut found = 0;
    Eyes(Ways::new(|_| {})).look(&order, &mut |files| found += files.len());
    assert_eq!(found, 0);
    assert_eq!(look(&inner, BTreeMap::new()).1.len(), 1);
    assert!(order.pulse.beats() > 0, "it is seen that it goes on");
}

/// What is found below `models`, as seen from there.
fn found(models: &Path, own: &[&str]) -> (Vec<String>, Aliases) {
    let order = LookOrder { ignored: ignored(own), ..order(models, BTreeMap::new()) };
    let mut files = Vec::new();
    let scan =
        Eyes(Ways::new(|_| {})).look(&order, &mut |found| {
            files.extend(found.into_iter().map(|(path, _)| {
                path.strip_prefix(models).unwrap().to_string_lossy().into_owned()
            }));
        });
    files.sort_unstable();
    (files, scan.aliases)
}

#[test]
fn trash_and_versions_are_left_out_unless_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let models = dir.path();
    for name in [
        "a.safetensors",
        ".Trash-1000/files/b.safetensors",
        ".stversions/c.safetensors",
        "sub/@eaDir/d.safetensors",
        "sub/._e.safetensors",
        "sub/f.safetensors",
        "old/g.safetensors",
    ] {
        let path = models.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
    fs::write(models.join("empty.safetensors"), "").unwrap();
    symlink("a.safetensors", models.join("._link.safetensors")).unwrap();
    symlink("old", models.join(".link")).unwrap();
    let all = |own: &[&str]| found(models, own).0;
    assert_eq!(all(&[]), ["a.safetensors", "old/g.safetensors", "sub/f.safetensors"]);
    assert_eq!(all(&["/old/", "f.*"]), ["a.safetensors"]);
    let given_back = ["a.safetensors", "old/g.safetensors", "sub/@eaDir/d.safetensors"];
    assert_eq!(all(&["!@eaDir/", "/sub/f.*"]), given_back);
}

#[test]
fn links_among_folders_multiply_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let models = dir.path();
    fs::create_dir_all(models.join("deep/er/real")).unwrap();
    fs::create_dir_all(models.join("b")).unwrap();
    fs::write(models.join("deep/er/real/a.safetensors"), "x").unwrap();
    fs::write(models.join("b/b.safetensors"), "x").unwrap();
    for (link, to) in [
        ("b/around", ".."),
        ("b/self", "."),
        ("long-link", "deep/er/real"),
        ("link", "deep/er/real"),
        ("deep/to-b", "../b"),
        ("deep/er/real/back", "../../.."),
    ] {
        symlink(to, models.join(link)).unwrap();
    }
    let (files, aliases) = found(models, &[]);
    assert_eq!(files, ["b/b.safetensors", "link/a.safetensors"]);
    for (path, listed) in [
        ("deep/er/real/a.safetensors", "link/a.safetensors"),
        ("long-link/a.safetensors", "link/a.safetensors"),
        ("b/around/b/self/b.safetensors", "b/b.safetensors"),
        ("deep/er/real/back/deep/to-b/b.safetensors", "b/b.safetensors"),
    ] {
        assert_eq!(aliases.listed(&models.join(path)), Some(models.join(listed)), "{path}");
    }
    assert_eq!(aliases.listed(&models.join("b/b.safetensors")), None);
}
