//! A changed configuration takes effect without a restart.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use end_to_end::Workplace;
use procfs::process::{FDTarget, Process};

/// What has not come about by then will not.
const PATIENCE: Duration = Duration::from_secs(240);

/// A daemon whose models folders come only from a file; killed when dropped.
struct Configured(Child);

impl Configured {
    fn start(w: &Workplace, file: &Path) -> Self {
        let mut command = Command::new(w.sdtrtd().get_program());
        command.env_clear().env("HOME", w.path("")).arg("--config").arg(file);
        command.arg("--data-dir").arg(w.data()).arg("--socket").arg(w.socket());
        command.arg("--tensorrt-dir").arg(w.path("no-runtime")).args(["--settle-seconds", "0.2"]);
        let mut started = Self(command.spawn().unwrap());
        let end = Instant::now() + PATIENCE;
        while w.ctl(&["status"]).code != 0 {
            assert_eq!(started.0.try_wait().unwrap(), None, "it ended");
            assert!(Instant::now() < end, "it does not answer");
        }
        started
    }

    /// Its inotify instances, each with the inodes of the folders that it watches.
    fn inotify(&self) -> Vec<BTreeSet<u64>> {
        let process = Process::new(i32::try_from(self.0.id()).unwrap()).unwrap();
        let descriptors = process.fd().unwrap().map_while(Result::ok);
        let is_inotify = |target: &FDTarget| matches!(target, FDTarget::AnonInode(kind) if kind.trim_matches(['[', ']']) == "inotify");
        let instances = descriptors.filter(|descriptor| is_inotify(&descriptor.target));
        let watched = instances.filter_map(|descriptor| {
            let info = format!("/proc/{}/fdinfo/{}", self.0.id(), descriptor.fd);
            // One that was closed meanwhile has none.
            let info = fs::read_to_string(info).ok()?;
            let watches = info.lines().filter_map(|line| line.strip_prefix("inotify "));
            let inodes = watches
                .filter_map(|watch| watch.split(' ').find_map(|word| word.strip_prefix("ino:")));
            Some(inodes.map(|inode| u64::from_str_radix(inode, 16).unwrap()).collect())
        });
        watched.collect()
    }

    fn threads(&self) -> usize {
        fs::read_dir(format!("/proc/{}/task", self.0.id())).unwrap().count()
    }
}

impl Drop for Configured {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn valid_changes_are_applied_and_an_invalid_file_changes_nothing() {
    let w = Workplace::new();
    let more = w.path("more");
    fs::create_dir(&more).unwrap();
    let file = w.path("sdtrtd.toml");
    let write = |text: &str| {
        let both = format!("models_dirs = [{:?}, {more:?}]\n", w.models());
        fs::write(&file, both + text).unwrap();
    };
    write("quota = '1 GB'");
    let _daemon = Configured::start(&w, &file);
    let reload = || w.ctl(&["reload", "--json"]);
    assert_eq!(reload().json()["applied"].as_array().unwrap().len(), 0);

    write("quota = '2 GB'\nwebui_url = 'http://127.0.0.1:1'");
    let told = reload().json();
    assert_eq!(told["applied"], serde_json::json!(["quota"]));
    assert_eq!(told["needs_restart"], serde_json::json!(["webui_url"]));
    assert_eq!(w.ctl(&["disk", "--json"]).json()["quota"], 2_000_000_000_u64);

    write("qouta = '3 GB'");
    let refused = reload();
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains(":2: unknown key `qouta`"), "{refused:?}");
    assert_eq!(w.ctl(&["disk", "--json"]).json()["quota"], 2_000_000_000_u64);

    // An ignored folder's checkpoints disappear, as if deleted, and return.
    w.write_checkpoint("old/a.safetensors", 1);
    assert_eq!(w.settled_list().len(), 1);
    for (ignore, listed) in [("ignore = ['/old/']", 0), ("ignore = ['/old/', '!old/']", 1)] {
        write(ignore);
        assert!(reload().json()["applied"].as_array().unwrap().contains(&"ignore".into()));
        assert_eq!(w.settled_list().len(), listed, "{ignore}");
    }
    write("ignore = ['{old']");
    assert!(reload().stderr.contains("gitignore"));
    write("quota = '2 GB'");
    reload();
    fs::remove_dir_all(w.model("old")).unwrap();

    // A removed folder: its checkpoints disappear, and the daemon no longer watches it.
    w.write_checkpoint(more.join("b.safetensors"), 2);
    assert_eq!(w.settled_list().len(), 1);
    fs::write(&file, format!("models_dirs = [{:?}]", w.models())).unwrap();
    assert_eq!(reload().json()["applied"], serde_json::json!(["models_dirs", "quota"]));
    assert_eq!(w.settled_list().len(), 0);
}

/// Whatever became of the old notifier: its instance, its thread and its watches are gone.
#[test]
fn a_reload_leaves_the_watches_of_the_new_configuration_alone() {
    let w = Workplace::new();
    let more = w.path("more");
    fs::create_dir_all(more.join("deep")).unwrap();
    let file = w.path("sdtrtd.toml");
    let configure = |folders: &[&Path]| fs::write(&file, format!("models_dirs = {folders:?}"));
    let inodes = |folders: &[&Path]| -> BTreeSet<u64> {
        folders.iter().map(|folder| fs::metadata(folder).unwrap().ino()).collect()
    };
    let (models, deep) = (w.models(), more.join("deep"));
    let (one, both) = ([&*models], [&*models, &*more]);
    configure(&one).unwrap();
    let daemon = Configured::start(&w, &file);
    // Each folder has an instance of its own, and what is above the folders is watched too.
    let watching = |expected: &BTreeSet<u64>, gone: &BTreeSet<u64>| {
        let end = Instant::now() + PATIENCE;
        loop {
            let instances = daemon.inotify();
            let found: BTreeSet<u64> = instances.iter().flatten().copied().collect();
            if expected.is_subset(&found) && gone.is_disjoint(&found) {
                break instances.len();
            }
            assert!(Instant::now() < end, "{found:?} are watched, and not {expected:?}");
            thread::yield_now();
        }
    };
    let (within, without) = (inodes(&[&*models, &*more, &*deep]), inodes(&[&*more, &*deep]));
    let instances = watching(&inodes(&one), &without);
    let mut threads = 0;
    for round in 0..4 {
        for (folders, watched, gone) in
            [(&both[..], &within, &BTreeSet::new()), (&one, &inodes(&one), &without)]
        {
            configure(folders).unwrap();
            let reloaded = w.ctl(&["reload", "--json"]);
            assert_eq!(reloaded.json()["applied"], serde_json::json!(["models_dirs"]));
            let left = watching(watched, gone);
            assert!(folders.len() > 1 || left == instances, "a reload left an instance");
        }
        // By the end of the first round all threads of the pool may be there.
        threads = if round == 0 { daemon.threads() } else { threads };
    }
    assert!(daemon.threads() < threads + 4, "each reload left a thread: {threads} before");
    // What happens there is not heard any more, and what happens here is.
    w.write_checkpoint(more.join("a.safetensors"), 1);
    w.write_checkpoint("b.safetensors", 2);
    let list = w.settled_list();
    assert_eq!(list.len(), 1, "{list:#?}");
    assert_eq!(list[0].locations, [Workplace::shown(&models.join("b.safetensors"))]);
}
