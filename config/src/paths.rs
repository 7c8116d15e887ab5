//! The default paths.

use std::{env, path::PathBuf};

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

/// The socket: `$XDG_RUNTIME_DIR/sdtrtd.sock`, or `sdtrtd.sock` in the data folder if the
/// session has no such folder (a bare container, a cron job).
pub fn socket() -> PathBuf {
    absolute_var("XDG_RUNTIME_DIR").unwrap_or_else(data_dir).join("sdtrtd.sock")
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
