//! Small pieces: ids, sizes, times, names that must not reach a terminal as they are.

use std::borrow::Cow;

pub(crate) use config::units::{duration, size};
use protocol::Checkpoint;

/// With control characters written out: a file name could otherwise move the cursor, retitle the
/// window or reverse what follows.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    escape(text, is_hidden)
}

/// As [`clean`], with the line breaks kept.
pub(crate) fn clean_lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| c != '\n' && is_hidden(c))
}

fn escape(text: &str, is_hidden: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_hidden(c) {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// Control characters, and those that break lines or turn the direction of writing.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A checkpoint's name: its file's, or its id if no file is left.
pub(crate) fn name(checkpoint: &Checkpoint) -> Cow<'_, str> {
    match checkpoint.locations.first() {
        Some(path) => clean(path.rsplit('/').next().unwrap_or(path)),
        None => checkpoint.key().short().into(),
    }
}

/// Such as `1 engine` or `2 engines`.
pub(crate) fn count(number: usize, word: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {word}{plural}")
}

/// Lines of whole words that begin with `indent` and end before `width`; one line without it.
pub(crate) fn wrap(text: &str, indent: &str, width: Option<usize>) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else { break };
        let long = |line: &str| console::measure_text_width(line) + indent.len();
        let fits =
            width.is_none_or(|width| long(line) + 1 + console::measure_text_width(word) <= width);
        if line.is_empty() {
            line.push_str(word);
        } else if fits {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.iter().map(|line| format!("{indent}{line}\n")).collect()
}

/// Cut in the middle to `width` columns. The end keeps more, if possible all of a path's last part:
/// it is what people look for.
pub(crate) fn shorten(text: &str, width: usize) -> Cow<'_, str> {
    if console::measure_text_width(text) <= width {
        return Cow::Borrowed(text);
    }
    let room = width.saturating_sub(1);
    let last = text.rfind('/').map_or("", |slash| &text[slash..]);
    let for_tail = console::measure_text_width(last).clamp(room - room / 3, room);
    let head = take_columns(text.chars(), room - for_tail);
    let tail = take_columns(text.chars().rev(), for_tail);
    Cow::Owned(head.into_iter().chain(['…']).chain(tail.into_iter().rev()).collect())
}

fn take_columns(characters: impl Iterator<Item = char>, columns: usize) -> Vec<char> {
    let mut left = columns;
    characters
        .map_while(|c| {
            left = left.checked_sub(console::measure_text_width(c.encode_utf8(&mut [0; 4])))?;
            Some(c)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_unseen() {
        for (text, expected) in [
            ("plain ü 模型", "plain ü 模型"),
            ("a\u{1b}[2Jb", "a\\u{1b}[2Jb"),
            ("a\nb\tc\r", "a\\nb\\tc\\r"),
            ("csi\u{9b}x\u{7f}", "csi\\u{9b}x\\u{7f}"),
            ("gpj\u{202e}x", "gpj\\u{202e}x"),
        ] {
            assert_eq!(clean(text), expected);
        }
        assert_eq!(clean_lines("a\n\u{1b}b"), "a\n\\u{1b}b");
    }

    #[test]
    fn long_paths_lose_their_middle() {
        let path = "/home/someone/models/checkpoints/sd15.safetensors";
        assert_eq!(shorten(path, 80), path);
        assert_eq!(shorten(path, 28), "/home/som…s/sd15.safetensors");
        assert_eq!(shorten(path, 20), "/h…/sd15.safetensors");
        assert_eq!(shorten(path, 12), "…safetensors");
        assert_eq!(shorten("模型模型模型模型", 9), "模…型模型");
        assert_eq!(shorten("abc", 1), "…");
        for width in 1..60 {
            assert!(console::measure_text_width(&shorten(path, width)) <= width, "{width}");
        }
    }
}
