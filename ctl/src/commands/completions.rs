//! Shell completion: a small script for each shell, which calls this program each time.

use anyhow::{Context, Result};
use clap_complete::env::{Bash, EnvCompleter, Fish, Zsh};

use crate::{args::Shell, output};

const NAME: &str = "sdtrtctl";

pub(super) fn run(shell: Shell) -> Result<()> {
    let completer: &dyn EnvCompleter = match shell {
        Shell::Bash => &Bash,
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
    };
    let mut script = Vec::new();
    completer
        .write_registration("COMPLETE", NAME, NAME, NAME, &mut script)
        .context("cannot write the script")?;
    let script = String::from_utf8(script)?;
    output::say(&match shell {
        Shell::Bash => quoting(&script),
        Shell::Zsh | Shell::Fish => script,
    })
}

/// The end of bash's function.
const END: &str = "    fi\n}\n";

/// bash takes candidates as they are, unlike the other shells: a name with a space in it would be several words. What
/// somebody has begun with a quote is quoted already, up to the end that bash then adds.
const QUOTING: &str = r#"    fi
    if [[ "${COMP_WORDS[COMP_CWORD]}" != [\"\']* ]]; then
        local _sdtrt_i
        for _sdtrt_i in "${!COMPREPLY[@]}"; do
            printf -v "COMPREPLY[_sdtrt_i]" '%q' "${COMPREPLY[_sdtrt_i]}"
        done
    fi
}
"#;

fn quoting(script: &str) -> String {
    script.replacen(END, QUOTING, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bash_is_told_to_quote() {
        let mut script = Vec::new();
        Bash.write_registration("COMPLETE", NAME, NAME, NAME, &mut script).unwrap();
        let script = quoting(&String::from_utf8(script).unwrap());
        assert_eq!(script.matches("'%q'").count(), 1, "{script}");
    }
}
