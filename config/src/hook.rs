//! Programs that are run when something has happened.

use std::ffi::OsString;

use crate::Error;

/// What arguments of a hook may contain in braces.
pub const PLACEHOLDERS: [&str; 4] = ["name", "path", "state", "reason"];

/// Checks a hook: a program and its arguments.
///
/// # Errors
/// Names what is no placeholder.
pub(crate) fn check(key: &str, hook: &[String]) -> Result<(), Error> {
    if hook.first().is_some_and(|program| program.trim().is_empty()) {
        return Err(Error::value(key, "[\"\"]", "expected a program and its arguments"));
    }
    for argument in hook {
        let unknown = placeholders(argument).find(|found| !PLACEHOLDERS.contains(found));
        if let Some(unknown) = unknown {
            let known = PLACEHOLDERS.map(|name| format!("{{{name}}}")).join(", ");
            let wanted = format!("'{{{unknown}}}' stands for nothing; expected {known}");
            return Err(Error::value(key, format!("{argument:?}"), wanted));
        }
    }
    Ok(())
}

/// Returns a hook's program and arguments, with their placeholders replaced. Paths need not be UTF-8.
pub fn filled<'a>(hook: &'a [String], value: impl Fn(&str) -> OsString) -> Vec<OsString> {
    let fill = |argument: &'a String| {
        let mut filled = OsString::new();
        let mut rest = argument.as_str();
        while let Some((before, inside, after)) = next(rest) {
            filled.push(before);
            filled.push(value(inside));
            rest = after;
        }
        filled.push(rest);
        filled
    };
    hook.iter().map(fill).collect()
}

fn placeholders(argument: &str) -> impl Iterator<Item = &str> {
    let mut rest = argument;
    std::iter::from_fn(move || {
        let (_, inside, after) = next(rest)?;
        rest = after;
        Some(inside)
    })
}

/// The first placeholder of a text: what is before it, its name, and what follows. Only a name is one, so that JSON can
/// be written as it is.
fn next(text: &str) -> Option<(&str, &str, &str)> {
    let is_name =
        |inside: &str| !inside.is_empty() && inside.bytes().all(|b| b.is_ascii_lowercase());
    text.match_indices('{').find_map(|(at, _)| {
        let (inside, after) = text[at + 1..].split_once('}')?;
        is_name(inside).then_some((&text[..at], inside, after))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(arguments: &[&str]) -> Vec<String> {
        arguments.iter().map(|argument| (*argument).to_owned()).collect()
    }

    #[test]
    fn only_placeholders_are_replaced_and_only_once() {
        let value =
            |name: &str| if name == "name" { "{path}".into() } else { format!("<{name}>").into() };
        for (argument, expected) in [
            ("{name} is {state}", "{path} is <state>"),
            ("{{name}}", "{{path}}"),
            (r#"{"text": "{reason}"}"#, r#"{"text": "<reason>"}"#),
            ("{", "{"),
            ("{}", "{}"),
            ("{Name} {a b}", "{Name} {a b}"),
            ("", ""),
        ] {
            assert_eq!(
                filled(&hook(&["program", argument]), value),
                ["program", expected],
                "{argument}"
            );
        }
    }

    #[test]
    fn what_stands_for_nothing_is_named() {
        check("on_ready", &[]).unwrap();
        check("on_ready", &hook(&["curl", "-d", r#"{"text": "{name}"}"#])).unwrap();
        let error = check("on_ready", &hook(&["notify-send", "{nmae}"])).unwrap_err().to_string();
        assert!(error.contains("'{nmae}' stands for nothing"), "{error}");
        assert!(error.contains("{name}, {path}, {state}, {reason}"), "{error}");
        assert!(check("on_ready", &hook(&[" "])).is_err());
    }
}
