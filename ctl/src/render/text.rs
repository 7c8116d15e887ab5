//! Small pieces: ids, sizes, times, names.

use std::borrow::Cow;

pub(crate) use config::units::{duration, size};
use protocol::Checkpoint;
pub(crate) use terminal::{clean, clean_lines};

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
