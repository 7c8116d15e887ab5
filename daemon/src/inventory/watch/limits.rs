//! inotify's limit of watched folders, and what to do when it is reached.

use std::{fs, io};

use rustix::io::Errno;

const WATCHES: &str = "fs.inotify.max_user_watches";
const INSTANCES: &str = "fs.inotify.max_user_instances";

/// The kernel's limit for each user; `None` if it can't be read.
pub(super) fn max_user_watches() -> Option<usize> {
    let file = format!("/proc/sys/{}", WATCHES.replace('.', "/"));
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Why no folder can be watched.
pub(super) fn no_inotify(error: Errno) -> String {
    let why = match error {
        Errno::MFILE => format!(
            "this user's programs have as many inotify instances as they may; raise the limit: \
             sysctl {INSTANCES}=1024"
        ),
        error => format!("inotify is not available ({})", io::Error::from(error)),
    };
    format!("{why}. Folders are looked at now and then instead")
}

/// Describes the problem when `watched` folders are watched and `left_out` more could not be, with a `limit`
/// that all programs of the user share.
pub(super) fn problem(watched: usize, left_out: usize, limit: Option<usize>) -> Option<String> {
    let wanted = (2 * (watched + left_out)).next_power_of_two().max(1 << 17);
    let raise = format!("raise the limit: sysctl {WATCHES}={wanted}");
    if left_out > 0 {
        return Some(format!(
            "{left_out} of {} folders can't be watched, as inotify's watches are used up; they are \
             looked at now and then instead. {raise}",
            watched + left_out
        ));
    }
    let limit = limit.filter(|limit| watched > limit / 10 * 8)?;
    Some(format!(
        "{watched} folders are watched, and inotify may watch {limit} for all programs of this user: \
         soon new ones can't be. {raise}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_reported_before_it_is_reached() {
        for (watched, left_out, limit, said) in [
            (500, 0, Some(8192), None),
            (500, 0, None, None),
            (7000, 0, Some(8192), Some("7000 folders are watched, and inotify may watch 8192")),
            (8000, 500, Some(8192), Some("500 of 8500 folders can't be watched")),
            (90_000, 40_000, None, Some("fs.inotify.max_user_watches=262144")),
        ] {
            let found = problem(watched, left_out, limit);
            assert_eq!(found.is_some(), said.is_some(), "{found:?}");
            assert!(found.unwrap_or_default().contains(said.unwrap_or_default()), "{said:?}");
        }
        assert!(no_inotify(Errno::MFILE).contains("max_user_instances=1024"));
        assert!(no_inotify(Errno::NOSYS).contains("not available"));
        assert!(max_user_watches().is_some());
    }
}
