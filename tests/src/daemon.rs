use std::{
    fs::File,
    process::{Child, Command},
};

use procfs::process::{Process, all_processes};
use rustix::process::{Pid, Signal, kill_process};

use crate::{Workplace, notices::Notices};

/// A running `sdtrtd`; killed when dropped.
pub struct Daemon {
    child: Child,
    notices: Notices,
}

impl Daemon {
    /// Starts it and waits until it notifies systemd that it is ready.
    pub(crate) fn start(workplace: &Workplace, arguments: &[&str]) -> Self {
        Self::run(workplace, workplace.sdtrtd(), arguments)
    }

    /// Starts `command` and waits until it notifies systemd that it is ready.
    pub(crate) fn run(workplace: &Workplace, mut command: Command, arguments: &[&str]) -> Self {
        let notices = Notices::listen(&workplace.path("notify"));
        let log =
            File::options().create(true).append(true).open(workplace.path("sdtrtd.log")).unwrap();
        if !arguments.contains(&"--build") {
            // Regardless of other load on this machine.
            command.args(["--build", "always"]);
        }
        let child = command
            .env("NOTIFY_SOCKET", &notices.path)
            .args(arguments)
            .stderr(log)
            .spawn()
            .unwrap();
        let mut daemon = Self { child, notices };
        daemon.hear("READY=1");
        daemon
    }

    /// Waits for a notification to systemd that starts with `beginning`, and returns all of it.
    ///
    /// # Panics
    /// If there is none for minutes.
    pub fn hear(&mut self, beginning: &str) -> String {
        self.notices.until(beginning)
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// The bytes that it has read so far, from files, sockets and everything else.
    pub fn bytes_read(&self) -> u64 {
        Process::new(self.pid()).unwrap().io().unwrap().rchar
    }

    /// The process ids of its workers.
    pub fn workers(&self) -> Vec<i32> {
        let children = all_processes().unwrap().flatten().filter(|process| {
            process.stat().is_ok_and(|stat| stat.ppid == self.pid() && stat.state != 'Z')
        });
        children.map(|process| process.pid()).collect()
    }

    /// Kills a process with SIGKILL.
    pub fn kill(pid: i32) {
        // It may have ended by itself meanwhile.
        let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
    }

    /// Ends a process as a crash of its own would: no fault of the machine's.
    pub fn crash(pid: i32) {
        // It may have ended by itself meanwhile.
        let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::ABORT);
    }

    /// Sends SIGTERM, as systemd does, and returns the exit code.
    pub fn stop(mut self) -> Option<i32> {
        self.terminate();
        self.child.wait().unwrap().code()
    }

    /// Whether something has ended it.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// How many files and sockets it has open.
    pub fn open_files(&self) -> usize {
        Process::new(self.pid()).unwrap().fd_count().unwrap()
    }

    /// Sends SIGTERM, as systemd does.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.pid()).unwrap(), signal).unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
