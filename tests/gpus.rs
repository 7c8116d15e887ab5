//! A driver that hangs, doesn't fit, comes late or loses a GPU: the real programs with a stand-in for its library.
#![allow(clippy::unwrap_used)]

use std::{fs, path::Path, process::Command};

use end_to_end::{Daemon, Workplace};
use protocol::Status;

/// NVML's numbers for what it may say.
const DRIVER_NOT_LOADED: i64 = 9;
const LIBRARY_DIFFERS: i64 = 18;

/// A workplace whose driver is a stand-in.
struct Machine(Workplace);

impl Machine {
    fn new() -> Self {
        let w = Workplace::new();
        fs::create_dir(w.path("nvml")).unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/nvml.c");
        // What links Rust programs is there.
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .arg(w.path("nvml/libnvidia-ml.so.1"))
            .arg(source)
            .status();
        assert!(compiled.unwrap().success());
        Self(w)
    }

    /// Has the driver say this from now on.
    fn say(&self, what: &str, value: i64) {
        let aside = self.0.path("nvml/aside");
        fs::write(&aside, value.to_string()).unwrap();
        fs::rename(aside, self.0.path("nvml").join(what)).unwrap();
    }

    fn with_driver(&self, mut command: Command) -> Command {
        let nvml = self.0.path("nvml");
        command.env("LD_LIBRARY_PATH", &nvml).env("NVML_STAND_IN", nvml);
        command
    }

    fn daemon(&self) -> Daemon {
        let no_runtime = self.0.path("no-runtime");
        let command = self.with_driver(self.0.sdtrtd());
        self.0.run(command, &["--tensorrt-dir", no_runtime.to_str().unwrap()])
    }

    /// Waits until the daemon's status is as `reached` says.
    fn until(&self, what: &str, reached: impl Fn(&Status) -> bool) {
        self.0.watch().until(what, |seen| reached(seen.status()));
    }
}

fn has(status: &Status, gpus: usize, problem: Option<&str>) -> bool {
    let told = status.gpu_problem.as_deref();
    let is_it = match problem {
        Some(problem) => told.is_some_and(|told| told.contains(problem)),
        None => told.is_none(),
    };
    status.gpus.len() == gpus && is_it
}

#[test]
fn a_driver_that_hangs_holds_up_nothing_and_passes() {
    let machine = Machine::new();
    machine.say("hangs", 1);
    let _daemon = machine.daemon();
    let path = machine.0.write_checkpoint("a.safetensors", 1);
    machine.0.watch().until("files are read", |seen| {
        seen.at(&path).is_some_and(|entry| entry.weights_id.is_some())
    });
    machine.until("it is told", |status| has(status, 0, Some("does not answer")));
    machine.say("hangs", 0);
    machine.until("it passes", |status| has(status, 1, None));
}

#[test]
fn a_driver_that_comes_later_is_seen_and_one_that_does_not_fit_is_named() {
    let machine = Machine::new();
    machine.say("init", DRIVER_NOT_LOADED);
    let _daemon = machine.daemon();
    machine.until("a machine without", |status| has(status, 0, None));
    machine.say("init", LIBRARY_DIFFERS);
    machine.until("it does not fit", |status| has(status, 0, Some("different versions")));
    let doctor =
        machine.with_driver(Command::new(machine.0.sdtrtd().get_program())).arg("probe").output();
    let probe = String::from_utf8(doctor.unwrap().stdout).unwrap();
    assert!(probe.contains("\"driver_broken\":true"), "{probe}");
    machine.say("init", 0);
    machine.until("it fits", |status| has(status, 1, None));
}

#[test]
fn one_of_two_gpus_that_is_lost_is_named_and_may_come_back() {
    let machine = Machine::new();
    machine.say("count", 2);
    machine.say("lost", 0);
    let _daemon = machine.daemon();
    machine.until("one is lost", |status| {
        has(status, 1, Some("GPU 0 can't be used: it has fallen off the bus"))
            && status.gpus[0].uuid == "GPU-1"
    });
    machine.say("lost", -1);
    assert_eq!(machine.0.ctl(&["reload"]).code, 0);
    machine.until("it is back", |status| has(status, 2, None));
}
