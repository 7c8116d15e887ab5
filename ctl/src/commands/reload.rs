//! Rereading the configuration.

use anyhow::Result;
use protocol::Reloaded;
use protocol::question;

use crate::{args::Global, daemon::Daemon, output};

pub(super) fn run(global: &Global) -> Result<()> {
    let reloaded = Daemon::connect(global)?.ask(question::reload())?;
    output::answer(global, &reloaded, render)
}

fn render(reloaded: &Reloaded) -> String {
    let Reloaded { applied, needs_restart } = reloaded;
    let mut told = match applied.as_slice() {
        [] if needs_restart.is_empty() => return "no changes\n".to_owned(),
        [] => String::new(),
        keys => format!("applied: {}\n", keys.join(", ")),
    };
    if !needs_restart.is_empty() {
        let keys = needs_restart.join(", ");
        told += &format!("needs a restart of sdtrtd: {keys}\n");
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_force_and_what_is_not() {
        let reloaded = |applied: &[&str], restart: &[&str]| {
            let owned = |keys: &[&str]| keys.iter().map(|&key| key.to_owned()).collect();
            render(&Reloaded { applied: owned(applied), needs_restart: owned(restart) })
        };
        assert_eq!(reloaded(&[], &[]), "no changes\n");
        insta::assert_snapshot!(reloaded(&["quota", "rules"], &["data_dir"]), @r"
        applied: quota, rules
        needs a restart of sdtrtd: data_dir
        ");
    }
}
