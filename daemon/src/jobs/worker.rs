//! The program `sdtrt-worker`: where it is, and whether its release fits.

use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use engine::Hello;
use thiserror::Error;

const NAME: &str = "sdtrt-worker";

/// How long a worker may take to report its own or a library's version: it does so at once, but a busy
/// machine or a slow disk may delay it.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Why no worker can be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum WorkerProblem {
    /// It is in none of the usual places.
    #[error(
        "{NAME}, which builds engines for sdtrtd, was not found; looked for {}. Install it from the release that \
         sdtrtd is from",
        list(.places)
    )]
    Missing {
        /// The places searched.
        places: Vec<PathBuf>,
    },
    /// The worker's messages may differ from the daemon's.
    #[error(
        "{} is {theirs}, but sdtrtd is {}; install both from one release, then restart sdtrtd",
        program.display(),
        Hello::own()
    )]
    OtherRelease {
        /// The worker's path.
        program: PathBuf,
        /// The version that it reports.
        theirs: String,
    },
}

/// Returns the worker beside this program, or in the folder where packages put such helpers.
pub(super) fn program() -> Result<PathBuf, WorkerProblem> {
    find(&env::current_exe().unwrap_or_default())
}

fn find(sdtrtd: &Path) -> Result<PathBuf, WorkerProblem> {
    let folder = sdtrtd.parent().unwrap_or(Path::new("/"));
    let prefix = folder.parent().unwrap_or(Path::new("/"));
    let places = [folder.join(NAME), prefix.join("libexec/sdtrt").join(NAME)];
    let found = places.iter().find(|place| place.is_file()).cloned();
    found.ok_or_else(|| WorkerProblem::Missing { places: places.into() })
}

/// Checks a worker's first line: nothing is sent to it before.
pub(super) fn check_hello(program: &Path, line: &str) -> Result<(), WorkerProblem> {
    let theirs = match serde_json::from_str::<Hello>(line) {
        Ok(hello) if hello == Hello::own() => return Ok(()),
        Ok(hello) => hello.to_string(),
        Err(_) => "of an unknown version".to_owned(),
    };
    Err(WorkerProblem::OtherRelease { program: program.to_owned(), theirs })
}

fn list(places: &[PathBuf]) -> String {
    places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn it_is_found_beside_the_daemon_or_in_libexec_and_otherwise_the_places_are_named() {
        let root = tempfile::tempdir().unwrap();
        let sdtrtd = root.path().join("bin/sdtrtd");
        let beside = root.path().join("bin/sdtrt-worker");
        let in_libexec = root.path().join("libexec/sdtrt/sdtrt-worker");
        let problem = find(&sdtrtd).unwrap_err().to_string();
        for place in [&beside, &in_libexec] {
            assert!(problem.contains(&place.display().to_string()), "{problem}");
        }
        for place in [in_libexec, beside] {
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(&place, "").unwrap();
            assert_eq!(find(&sdtrtd), Ok(place));
        }
    }

    #[test]
    fn only_a_worker_of_this_release_gets_jobs() {
        let own = Hello::own();
        let said = |hello: &Hello| serde_json::to_string(hello).unwrap();
        let check = |line: &str| check_hello(Path::new("/lib/sdtrt-worker"), line);
        assert_eq!(check(&said(&own)), Ok(()));
        let newer = Hello { version: "99.0.0".to_owned(), ..own.clone() };
        let other = Hello { messages: own.messages + 1, ..own.clone() };
        for (line, theirs) in [
            (said(&newer), newer.to_string()),
            (said(&other), other.to_string()),
            ("usage: sdtrt-worker".to_owned(), "of an unknown version".to_owned()),
        ] {
            let problem = check(&line).unwrap_err().to_string();
            for told in ["/lib/sdtrt-worker", &theirs, &own.to_string(), "restart sdtrtd"] {
                assert!(problem.contains(told), "{problem}");
            }
        }
    }
}
