//! The default paths.

use std::{
    env, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// The configuration file: `$XDG_CONFIG_HOME/sdtrt/sdtrtd.toml`, by default under `~/.config`.
pub fn config_file() -> PathBuf {
    home_dir("XDG_CONFIG_HOME", ".config").join("sdtrt/sdtrtd.toml")
}

/// The configuration of the system's daemon, installed by the package.
pub const SYSTEM_FILE: &str = "/etc/sdtrt/sdtrtd.toml";

/// The data folder: `$XDG_DATA_HOME/sdtrt`, by default under `~/.local/share`.
pub fn data_dir() -> PathBuf {
    home_dir("XDG_DATA_HOME", ".local/share").join("sdtrt")
}

/// The socket, if nothing else is configured: the first of [`sockets`].
pub fn socket() -> PathBuf {
    sockets().into_iter().next().unwrap_or_else(|| data_dir().join(SOCKET))
}

/// The places for the socket, best first. The daemon takes the first at which it can listen, and its clients try them
/// in the same order, so that both meet whatever the session of each has:
/// `$XDG_RUNTIME_DIR`, if it is this user's or can be made; `/run/user/UID`, where sessions without that variable
/// (`su`, cron, ssh without PAM) have it; the data folder (a bare container); and `/tmp/sdtrt-UID`, where the data
/// folder's disk takes no sockets.
pub fn sockets() -> Vec<PathBuf> {
    places(absolute_var("XDG_RUNTIME_DIR"), Path::new("/run/user"), &data_dir(), own_uid())
}

const SOCKET: &str = "sdtrtd.sock";

fn places(session: Option<PathBuf>, sessions: &Path, data: &Path, uid: u32) -> Vec<PathBuf> {
    let owner = |path: &Path| fs::metadata(path).ok().map(|found| found.uid());
    let is_ours = |path: &PathBuf| match owner(path) {
        Some(owner) => owner == uid,
        // It can be made, unless the system makes it when somebody logs in.
        None => path.parent() != Some(sessions) && path.parent().and_then(owner) == Some(uid),
    };
    let there = sessions.join(uid.to_string());
    let runtime = [session, Some(there)].into_iter().flatten().filter(is_ours);
    let short = PathBuf::from(format!("/tmp/sdtrt-{uid}"));
    let mut places: Vec<_> =
        runtime.chain([data.to_owned(), short]).map(|dir| dir.join(SOCKET)).collect();
    places.dedup();
    places
}

/// Whether the folder around this socket may be trusted: others can put anything into `/tmp`, so there it must be
/// this user's alone.
pub fn is_private(socket: &Path) -> bool {
    let Some(dir) = socket.parent().filter(|dir| dir.starts_with("/tmp")) else { return true };
    let is_ours = |found: fs::Metadata| {
        found.is_dir() && found.uid() == own_uid() && found.mode() & 0o077 == 0
    };
    let is_usual = dir.file_name() == Some(format!("sdtrt-{}", own_uid()).as_ref());
    !is_usual || fs::symlink_metadata(dir).is_ok_and(is_ours)
}

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn home_dir(variable: &str, below_home: &str) -> PathBuf {
    absolute_var(variable)
        .or_else(|| Some(env::home_dir()?.join(below_home)))
        .unwrap_or_else(|| PathBuf::from("/").join(below_home))
}

/// The XDG base directory specification requires relative values to be ignored.
fn absolute_var(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn daemon_and_clients_meet_whatever_their_sessions_have() {
        let dir = tempfile::tempdir().unwrap();
        let uid = own_uid();
        let (sessions, data) = (dir.path().join("user"), dir.path().join("data"));
        let (own, set) = (sessions.join(uid.to_string()), dir.path().join("set"));
        let short = PathBuf::from(format!("/tmp/sdtrt-{uid}/sdtrtd.sock"));
        let places =
            |session: Option<&Path>| places(session.map(Path::to_owned), &sessions, &data, uid);
        let of = |dirs: &[&Path]| {
            let dirs = dirs.iter().map(|dir| dir.join(SOCKET));
            dirs.chain([short.clone()]).collect::<Vec<_>>()
        };
        assert_eq!(places(None), of(&[&data]), "a bare container");
        fs::create_dir_all(&own).unwrap();
        assert_eq!(places(None), of(&[&own, &data]), "cron on a machine with a session");
        assert_eq!(places(Some(&own)), of(&[&own, &data]), "that session");
        assert_eq!(places(Some(&set)), of(&[&set, &own, &data]), "it can be made");
        fs::create_dir(&set).unwrap();
        assert_eq!(places(Some(&set)), of(&[&set, &own, &data]));
        let away = Path::new("/nonexistent/session");
        if uid != 0 {
            assert_eq!(
                places(Some(Path::new("/"))),
                of(&[&own, &data]),
                "another user's, after su"
            );
        }
        assert_eq!(places(Some(away)), of(&[&own, &data]), "it is gone and can't be made");
        assert_eq!(self::places(None, &sessions, &data, uid + 1).len(), 2, "another user");
    }

    #[test]
    fn a_folder_in_tmp_must_be_this_users_alone() {
        assert!(is_private(Path::new("/run/user/0/sdtrtd.sock")));
        assert!(is_private(Path::new("/tmp/elsewhere/s")), "somebody chose it");
        let missing = format!("/tmp/sdtrt-{}-x/sdtrtd.sock", own_uid());
        assert!(is_private(Path::new(&missing)));
    }
}
