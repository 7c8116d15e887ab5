//! Questions to the person, answered on standard input.

use std::io::{self, BufRead, Write};

use anyhow::{Context, Result};

/// What is typed, or `default` for an empty line.
pub(crate) fn text(question: &str, default: &str) -> Result<String> {
    eprint!("{question} [{}]: ", terminal::clean(default));
    io::stderr().flush()?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).context("cannot read the answer")?;
    if !line.ends_with('\n') {
        // The input has ended: the default it is, and the next output begins a line.
        eprintln!();
    }
    let line = line.trim();
    Ok(if line.is_empty() { default.to_owned() } else { line.to_owned() })
}

/// Whether the answer is yes.
pub(crate) fn yes(question: &str, default: bool) -> Result<bool> {
    let answer = text(question, if default { "Y/n" } else { "y/N" })?;
    Ok(match answer.to_lowercase().as_str() {
        "y" | "yes" => true,
        "n" | "no" => false,
        _ => default,
    })
}
