use std::{ffi::OsStr, fs, path::PathBuf, process::Command};

use engine::{Hello, Report, samples};

use crate::{Daemon, Workplace};

/// What it leaves instead of an engine.
const PLAN: &[u8] = b"plan";

/// A daemon whose worker is a shell script, and whose TensorRT is whatever that says.
impl Workplace {
    /// Starts it. Its worker does what [`Self::set_worker`] said last.
    pub fn daemon_with_stand_in(&self, arguments: &[&str]) -> Daemon {
        let library = self.tensorrt();
        let folder = library.parent().unwrap();
        fs::create_dir_all(folder).unwrap();
        fs::write(&library, "").unwrap();
        let (own, program) = (self.sdtrtd(), self.path("bin/sdtrtd"));
        fs::create_dir_all(self.path("bin")).unwrap();
        if !program.exists() {
            by_another_process("cp \"$1\" \"$2\"", [own.get_program(), program.as_os_str()]);
        }
        let mut command = Command::new(program);
        command
            .args(own.get_args())
            .env_clear()
            .envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let folder = folder.to_str().unwrap();
        self.run(command, &[&["--tensorrt-dir", folder], arguments].concat())
    }

    /// The library that the daemon looks for.
    pub fn tensorrt(&self) -> PathBuf {
        self.path("tensorrt").join(config::runtime::LIBRARY)
    }

    /// The worker's script.
    pub fn worker(&self) -> PathBuf {
        self.path("bin/sdtrt-worker")
    }

    /// Has the worker do this once it has its job, in whose folder it is, and then report that it has built the plan
    /// that it should have left as `engine`.
    pub fn set_worker(&self, script: &str) {
        let line = |message| format!("echo '{message}'\n");
        let hello = line(serde_json::to_string(&Hello::own()).unwrap());
        let built = Report::Built(samples::built(PLAN));
        let script = [
            "#!/bin/sh\n".to_owned(),
            hello,
            "[ \"$1\" = --library-version ] && echo 1.7.1.116 && exit\n".to_owned(),
            "read -r job\n".to_owned(),
            r#"cd "$(echo "$job" | sed 's/.*"folder":"\([^"]*\).*/\1/')""#.to_owned() + "\n",
            script.to_owned() + "\n",
            line(serde_json::to_string(&built).unwrap()),
        ];
        fs::create_dir_all(self.path("bin")).unwrap();
        let aside = self.path("bin/aside");
        let write = "printf %s \"$1\" > \"$2\" && chmod 755 \"$2\"";
        by_another_process(write, [script.concat().as_ref(), aside.as_os_str()]);
        fs::rename(aside, self.worker()).unwrap();
    }

    /// Has the worker build.
    pub fn set_good_worker(&self) {
        self.set_worker("printf plan > engine");
    }
}

/// Writes a program. If this process did, another test's child could inherit the open file, and until that child
/// runs its own program the kernel refuses to run this one.
fn by_another_process(script: &str, arguments: [&OsStr; 2]) {
    let status = Command::new("/bin/sh").args(["-c", script, "sh"]).args(arguments).status();
    assert!(status.unwrap().success(), "{script}");
}
