//! What each command is for, and an example of it.

use std::fmt::Write as _;

use clap::{Command, CommandFactory};

use super::Args;

/// Commands in the order in which people need them, each with an example.
const GROUPS: [(&str, &[(&str, &str)]); 6] = [
    (
        "Look",
        &[
            ("status", "sdtrtctl status"),
            ("list", "sdtrtctl list"),
            ("show", "sdtrtctl show dreamlike.safetensors"),
            ("check", "sdtrtctl check 512x768 --batch 2 --hires 2"),
            ("bench", "sdtrtctl bench --html speed.html"),
            ("identify", "sdtrtctl identify --hashes dreamlike.safetensors"),
            ("watch", "sdtrtctl watch"),
            ("log", "sdtrtctl log dreamlike.safetensors"),
            ("history", "sdtrtctl history -n 5"),
        ],
    ),
    (
        "Build",
        &[
            ("build", "sdtrtctl build dreamlike.safetensors --follow"),
            ("retry", "sdtrtctl retry dreamlike.safetensors"),
            ("wait", "sdtrtctl wait dreamlike.safetensors --timeout 600"),
            ("pause", "sdtrtctl pause --for 2h"),
            ("resume", "sdtrtctl resume"),
            ("materialize", "sdtrtctl materialize dreamlike.safetensors --output dreamlike.engine"),
        ],
    ),
    (
        "Disk",
        &[
            ("disk", "sdtrtctl disk"),
            ("pin", "sdtrtctl pin dreamlike.safetensors"),
            ("unpin", "sdtrtctl unpin dreamlike.safetensors"),
            ("remove", "sdtrtctl remove 01a268913c30"),
            ("gc", "sdtrtctl gc --dry-run"),
            ("verify", "sdtrtctl verify"),
        ],
    ),
    (
        "Share",
        &[
            ("store", "sdtrtctl store push"),
            ("export-engine", "sdtrtctl export-engine dreamlike.safetensors /media/stick/sdtrt"),
            ("import-engine", "sdtrtctl import-engine /media/stick/sdtrt"),
        ],
    ),
    (
        "Set up",
        &[
            ("setup", "sdtrtctl setup"),
            ("doctor", "sdtrtctl doctor"),
            ("config", "sdtrtctl config edit"),
            ("reload", "sdtrtctl reload"),
            ("runtime", "sdtrtctl runtime install"),
            ("webui", "sdtrtctl webui install ~/stable-diffusion-webui"),
        ],
    ),
    (
        "For scripts and reports",
        &[
            ("export", "sdtrtctl export dreamlike.safetensors --output onnx"),
            ("schema", "sdtrtctl schema > schema.json"),
            ("snapshot", "sdtrtctl snapshot"),
            ("completions", "sdtrtctl completions bash"),
        ],
    ),
];

/// The command line with its commands in groups, and an example in each one's own help.
pub(crate) fn command() -> Command {
    let mut command = Args::command();
    let groups = listed(&command);
    for (name, example) in GROUPS.iter().flat_map(|(_, commands)| *commands) {
        command = command.mut_subcommand(name, |command| {
            let before =
                command.get_after_help().map_or(String::new(), |help| format!("{help}\n\n"));
            command.after_help(format!("{before}Example: {example}"))
        });
    }
    let template = format!(
        "{{about}}\n\n{{usage-heading}} {{usage}}\n{groups}\nOptions:\n{{options}}{{after-help}}"
    );
    command.help_template(template)
}

/// The groups, as the help shows them.
fn listed(command: &Command) -> String {
    let about = |name: &str| {
        let about = command.find_subcommand(name).and_then(Command::get_about);
        about.map(ToString::to_string).unwrap_or_default()
    };
    let names = GROUPS.iter().flat_map(|(_, commands)| commands.iter().map(|(name, _)| name.len()));
    let width = names.max().unwrap_or(0);
    let mut listed = String::new();
    for (title, commands) in GROUPS {
        // Writing into a text cannot fail.
        let _ = writeln!(listed, "\n{title}:");
        for (name, _) in commands {
            let _ = writeln!(listed, "  {name:<width$}  {}", about(name));
        }
    }
    listed
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_command_is_in_one_group_and_its_example_is_one_of_it() {
        let all = Args::command();
        let visible = all.get_subcommands().filter(|command| !command.is_hide_set());
        let visible: BTreeSet<_> = visible.map(|command| command.get_name().to_owned()).collect();
        let grouped: Vec<_> = GROUPS.iter().flat_map(|(_, commands)| *commands).collect();
        let names: BTreeSet<_> = grouped.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(names, visible);
        assert_eq!(grouped.len(), visible.len(), "each once");
    }

    #[test]
    fn every_command_has_an_example_of_itself_in_its_own_help() {
        let mut all = command();
        all.build();
        look_at(&all, &["sdtrtctl"]);
    }

    fn look_at(command: &Command, path: &[&str]) {
        let visible = command.get_subcommands().filter(|below| !below.is_hide_set());
        for below in visible.filter(|below| below.get_name() != "help") {
            let path = [path, &[below.get_name()]].concat();
            let help = below.clone().render_help().to_string();
            let example = help.lines().find_map(|line| line.strip_prefix("Example: "));
            let example = example.unwrap_or_else(|| panic!("{path:?} has none"));
            assert!(example.starts_with(&path.join(" ")), "{path:?}: {example}");
            let words = example.split(" > ").next().unwrap_or_default().split(' ');
            super::command().try_get_matches_from(words).expect(example);
            look_at(below, &path);
        }
    }

    #[test]
    fn the_help_has_the_groups_and_each_command_an_example() {
        let help = command().render_help().to_string();
        for told in ["\nLook:\n  status", "\nSet up:\n", "Options:\n", "Exit codes: 0 success"] {
            assert!(help.contains(told), "{told:?} in {help}");
        }
        let mut all = command();
        let check = all.find_subcommand_mut("check").expect("is one").render_help().to_string();
        assert!(check.contains("Example: sdtrtctl check 512x768"), "{check}");
    }
}
