//! The way to a models folder, and disks that come and go.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use end_to_end::{Daemon, Watching, Workplace};
use protocol::State;

fn seen(watching: &mut Watching, path: &Path) {
    watching.until(&format!("{} is seen", path.display()), |seen| seen.at(path).is_some());
}

fn gone(watching: &mut Watching, path: &Path) {
    watching.until(&format!("{} is gone", path.display()), |seen| seen.at(path).is_none());
}

/// As `models_dirs`, beside the workplace's own.
fn start(w: &Workplace, dir: &Path) -> Daemon {
    w.idle_daemon_with(&["--models-dir", dir.to_str().unwrap()])
}

#[test]
fn whatever_becomes_of_the_way_to_a_models_folder_is_seen() {
    let w = Workplace::new();
    let at = |name: &str| w.path(name);
    let write = |name: &str| {
        fs::create_dir_all(at(name).parent().unwrap()).unwrap();
        fs::write(at(name), "no checkpoint").unwrap();
    };
    write("a/b/models/one.safetensors");
    write("other/b/models/two.safetensors");
    write("third/three.safetensors");
    symlink(at("a/b"), at("link")).unwrap();
    let dir = at("link/models");
    let _daemon = start(&w, &dir);
    let mut watching = w.watch();
    seen(&mut watching, &dir.join("one.safetensors"));

    // The folder around it is replaced.
    fs::rename(at("a"), at("aside")).unwrap();
    gone(&mut watching, &dir.join("one.safetensors"));
    fs::rename(at("other"), at("a")).unwrap();
    seen(&mut watching, &dir.join("two.safetensors"));
    // The link in its path is led elsewhere, to what comes level by level.
    symlink(at("new/deep"), at("newer")).unwrap();
    fs::rename(at("newer"), at("link")).unwrap();
    gone(&mut watching, &dir.join("two.safetensors"));
    write("new/deep/models/four.safetensors");
    seen(&mut watching, &dir.join("four.safetensors"));
    // A link in it leads to a folder that moves away and comes back.
    symlink(at("third"), dir.join("sub")).unwrap();
    seen(&mut watching, &dir.join("sub/three.safetensors"));
    fs::rename(at("third"), at("fourth")).unwrap();
    gone(&mut watching, &dir.join("sub/three.safetensors"));
    fs::rename(at("fourth"), at("third")).unwrap();
    seen(&mut watching, &dir.join("sub/three.safetensors"));
}

/// A daemon in a mount namespace of its own, whose mounts end with it.
struct Apart {
    w: Workplace,
    daemon: Daemon,
}

impl Apart {
    fn start(w: Workplace) -> Self {
        let daemon = w.sdtrtd();
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation", "private", "--"])
            .arg(daemon.get_program())
            .args(daemon.get_args())
            .env_clear()
            .envs(daemon.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        let no_runtime = w.path("no-runtime");
        let daemon = w.run(command, &["--tensorrt-dir", no_runtime.to_str().unwrap()]);
        Self { w, daemon }
    }

    /// Runs a command where the daemon is.
    fn run(&self, command: &[&str]) {
        let pid = self.daemon.pid().to_string();
        let status = Command::new("nsenter")
            .args(["--target", &pid, "--mount", "--"])
            .args(command)
            .status();
        assert!(status.unwrap().success(), "{command:?}");
    }
}

#[test]
#[ignore = "needs the right to mount: as root, `cargo test -p end-to-end --test ways -- --ignored`"]
fn disks_that_come_and_go_are_seen_and_what_lay_on_them_is_away() {
    let w = Workplace::new();
    let path = w.write_checkpoint("disk/a.safetensors", 1);
    let identity = w.ctl(&["identify".as_ref(), path.as_os_str(), "--json".as_ref()]).json();
    w.put_engine("ab", identity["unet_id"].as_str().unwrap(), 1000);
    let source = w.path("source");
    fs::rename(w.model("disk"), &source).unwrap();
    fs::create_dir(w.model("disk")).unwrap();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let (source, place) = (text(&source), text(&w.model("disk")));
    let apart = Apart::start(w);
    let mut watching = apart.w.watch();
    let state = |watching: &mut Watching, expected: State| {
        watching.until(&format!("it is {expected}"), |seen| {
            seen.checkpoints().values().any(|entry| entry.state == expected)
        });
    };
    let has_engine = |watching: &mut Watching, path: &Path| {
        watching.until("its engine is known", |seen| {
            seen.at(path).is_some_and(|entry| !entry.engines.is_empty())
        });
    };
    let bind: &[&str] = &["mount", "--bind", &source, &place];
    for _ in 0..2 {
        apart.run(bind);
        has_engine(&mut watching, &path);
        apart.run(&["umount", &place]);
        state(&mut watching, State::Away);
    }
    // Another disk hides the models folder.
    apart.run(bind);
    has_engine(&mut watching, &path);
    let models: PathBuf = apart.w.models();
    apart.run(&["mount", "-t", "tmpfs", "none", models.to_str().unwrap()]);
    state(&mut watching, State::Away);
    apart.run(&["umount", models.to_str().unwrap()]);
    has_engine(&mut watching, &path);
    // Only what is deleted from a disk that is there is gone.
    fs::rename(Path::new(&source).join("a.safetensors"), apart.w.path("b")).unwrap();
    state(&mut watching, State::Orphaned);
    fs::rename(apart.w.path("b"), Path::new(&source).join("a.safetensors")).unwrap();
    has_engine(&mut watching, &path);
    fs::remove_dir_all(&source).unwrap();
    state(&mut watching, State::Away);
}
