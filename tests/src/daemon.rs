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
    /// Starts it and waits until it says that it is ready, as it says to systemd.
    pub(crate) fn start(workplace: &Workplace, arguments: &[&str]) -> Self {
        Self::run(workplace, workplace.sdtrtd(), arguments)
    }

    /// Starts `command` and waits until it says that it is ready.
    pub(crate) fn run(workplace: &Workplace, mut command: Command, arguments: &[&str]) -> Self {
        let notices = Notices::listen(&workplace.path("notify"));
        let log =
            File::options().create(true).append(true).open(workplace.path("sdtrtd.log")).unwrap();
        if !arguments.contains(&"--build") {
            // Whatever else this machine does.
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

    /// Waits until it tells systemd something that begins like this, and returns all of it.
    ///
    /// # Panics
    /// When it does not for minutes.
    pub fn hear(&mut self, beginning: &str) -> String {
        self.notices.until(beginning)
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Bytes that it has read so far, of files, sockets and all else.
    pub fn bytes_read(&self) -> u64 {
        Process::new(self.pid()).unwrap().io().unwrap().rchar
    }

    /// The worker processes it has.
    pub fn workers(&self) -> Vec<i32> {
        let children = all_processes().unwrap().flatten().filter(|process| {
            process.stat().is_ok_and(|stat| stat.ppid == self.pid() && stat.state != 'Z')
        });
        children.map(|process| process.pid()).collect()
    }

    /// Kills a process as nobody can prevent.
    pub fn kill(pid: i32) {
        // It may have ended by itself meanwhile.
        let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
    }

    /// Asks it to stop, as systemd does, and returns its exit code.
    pub fn stop(mut self) -> Option<i32> {
        self.terminate();
        self.child.wait().unwrap().code()
    }

    /// Asks it to stop, as systemd does.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends it a signal.
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
