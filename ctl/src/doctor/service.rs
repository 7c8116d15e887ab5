//! The programs, the configuration, the running daemon.

use config::Loaded;
use protocol::{ConnectError, Machine, question};

use super::Finding;
use crate::{args::Global, configuration, daemon::Daemon, exit};

/// Where a stopped daemon's reason is logged.
const JOURNAL: &str =
    "`journalctl --user -u sdtrtd` says why it stopped; without `--user` for the system's";

/// The configuration, if it is usable.
pub(super) fn configuration(global: &Global) -> (Finding, Option<Loaded>) {
    const TOPIC: &str = "configuration";
    let file = configuration::file(global);
    let loaded = match configuration::load(global) {
        Ok(loaded) => loaded,
        Err(error) => {
            let advice = "fix it with `sdtrtctl config edit`";
            return (Finding::bad(TOPIC, error.to_string(), advice), None);
        }
    };
    let finding = match (loaded.check(&configuration::architectures()), &loaded.file) {
        (Ok(()), Some(file)) => Finding::ok(TOPIC, file.display().to_string()),
        (Ok(()), None) => Finding::ok(TOPIC, "environment variables only"),
        (Err(_), None) => {
            let found = format!("{} does not exist", file.display());
            Finding::warning(TOPIC, found, "`sdtrtctl setup` writes it; flags work without")
        }
        (Err(error), Some(_)) => {
            Finding::bad(TOPIC, error.to_string(), "fix it with `sdtrtctl config edit`")
        }
    };
    (finding, Some(loaded))
}

pub(super) fn program(machine: &Machine) -> Finding {
    let ours = env!("CARGO_PKG_VERSION");
    if machine.version == ours {
        Finding::ok("programs", format!("sdtrtd and sdtrtctl {ours}"))
    } else {
        let found = format!("sdtrtd {}, but sdtrtctl {ours}", machine.version);
        Finding::bad("programs", found, "install both from the same release")
    }
}

pub(super) fn no_program(error: &anyhow::Error) -> Finding {
    let advice = "install sdtrtd beside sdtrtctl; GPU and TensorRT were not checked";
    Finding::bad("programs", exit::describe(error), advice)
}

/// The process id of a daemon that answers, whether it does, and which folders it can't access, though this user
/// perhaps can.
pub(super) fn daemon(global: &Global) -> (Option<u32>, Vec<Finding>) {
    const TOPIC: &str = "sdtrtd";
    let status = Daemon::connect(global).and_then(|mut daemon| daemon.ask(question::status()));
    match status {
        Ok(status) => {
            let answers = Finding::ok(TOPIC, format!("running, pid {}", status.daemon.pid));
            let problems = status.models_dirs.into_iter().filter_map(|dir| dir.problem);
            let problems = problems.chain(status.troubles);
            let told = |problem| Finding { advice: None, ..Finding::warning(TOPIC, problem, "") };
            let findings = std::iter::once(answers).chain(problems.map(told));
            (Some(status.daemon.pid), findings.collect())
        }
        Err(error) => {
            let advice = is_down(&error).then(|| JOURNAL.to_owned());
            let finding = Finding { advice, ..Finding::warning(TOPIC, exit::describe(&error), "") };
            (None, vec![finding])
        }
    }
}

/// For other failures the message is enough.
fn is_down(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref(),
        Some(ConnectError::NoDaemon { .. } | ConnectError::Silent { .. })
    )
}
