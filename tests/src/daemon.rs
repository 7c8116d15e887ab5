use std::{
    fs::File,
    os::unix::net::UnixDatagram,
    process::{Child, Stdio},
    time::Duration,
};

use procfs::process::{Process, all_processes};
use rustix::process::{Pid, Signal, kill_process};

use crate::{Workplace, workplace::PATIENCE_S};

/// A running `sdtrtd`; killed when dropped.
pub struct Daemon {
    child: Child,
}

impl Daemon {
    /// Starts it and waits until it says that it is ready, as it says to systemd.
    pub(crate) fn start(workplace: &Workplace, arguments: &[&str]) -> Self {
        let notify = workplace.path("notify");
        let _ = std::fs::remove_file(&notify);
        let ready = UnixDatagram::bind(&notify).unwrap();
        ready.set_read_timeout(Some(Duration::from_secs(PATIENCE_S))).unwrap();
        let log =
            File::options().create(true).append(true).open(workplace.path("sdtrtd.log")).unwrap();
        let mut command = workplace.sdtrtd();
        if !arguments.contains(&"--build") {
            // Whatever else this machine does.
            command.args(["--build", "always"]);
        }
        let child = command
            .env("NOTIFY_SOCKET", &notify)
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut message = [0; 64];
        let length = ready.recv(&mut message).expect("the daemon is not ready; see sdtrtd.log");
        assert!(message[..length].starts_with(b"READY=1"));
        Self { child }
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
        kill_process(Pid::from_raw(self.pid()).unwrap(), Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
