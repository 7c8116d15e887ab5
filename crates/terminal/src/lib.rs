//! Text from elsewhere as it may reach a terminal: what is not seen is written out. A file name could otherwise move
//! the cursor, retitle the window, reverse what follows, or look like another.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// With every character that is not seen written out, such as `\u{202e}`, and line breaks too.
#[must_use]
pub fn clean(text: &str) -> Cow<'_, str> {
    escape(text, is_hidden, |c, escaped| escaped.extend(c.escape_default()))
}

/// As [`clean`], with the line breaks kept.
#[must_use]
pub fn clean_lines(text: &str) -> Cow<'_, str> {
    let is_hidden = |c| c != '\n' && is_hidden(c);
    escape(text, is_hidden, |c, escaped| escaped.extend(c.escape_default()))
}

/// JSON of the same meaning, with every character that is not seen as `\u` and four digits. Between its texts there
/// are none but line breaks, which stay.
#[must_use]
pub fn clean_json(json: &str) -> Cow<'_, str> {
    let is_hidden = |c| c != '\n' && is_hidden(c);
    escape(json, is_hidden, |c, escaped| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            escaped.push_str(&format!("\\u{unit:04x}"));
        }
    })
}

fn escape(
    text: &str,
    is_hidden: impl Fn(char) -> bool,
    write_out: impl Fn(char, &mut String),
) -> Cow<'_, str> {
    if !text.contains(&is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_hidden(c) {
            write_out(c, &mut escaped);
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// Whether a character is not seen, or changes how others are: by its category in Unicode, and a few letters and marks
/// without a form.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    let is_formless = matches!(
        c,
        '\u{34f}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{ffa0}'
            | '\u{e0000}'..='\u{e0fff}'
    );
    is_formless
        || matches!(
            c.general_category(),
            GeneralCategory::Control
                | GeneralCategory::Format
                | GeneralCategory::LineSeparator
                | GeneralCategory::ParagraphSeparator
                | GeneralCategory::PrivateUse
                | GeneralCategory::Surrogate
                | GeneralCategory::Unassigned
        )
}

/// Writes lines with what is not seen written out, except for ASCII: colours are control characters, and whoever
/// writes through this has dealt with those of others.
#[derive(Debug)]
pub struct CleanWriter<W>(pub W);

impl<W: Write> Write for CleanWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let is_hidden = |c: char| !c.is_ascii() && is_hidden(c);
        let clean = escape(&text, is_hidden, |c, escaped| escaped.extend(c.escape_default()));
        self.0.write_all(clean.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_unseen() {
        for (text, expected) in [
            ("plain ü 模型 é 👍", "plain ü 模型 é 👍"),
            ("a\u{1b}[2Jb", "a\\u{1b}[2Jb"),
            ("a\nb\tc\r", "a\\nb\\tc\\r"),
            ("csi\u{9b}x\u{7f}", "csi\\u{9b}x\\u{7f}"),
            ("gpj\u{202e}x", "gpj\\u{202e}x"),
            ("\u{61c}a\u{200b}b\u{feff}", "\\u{61c}a\\u{200b}b\\u{feff}"),
            ("\u{2066}\u{2028}\u{2029}\u{200d}", "\\u{2066}\\u{2028}\\u{2029}\\u{200d}"),
            ("\u{e0000}\u{e0041}\u{e007f}", "\\u{e0000}\\u{e0041}\\u{e007f}"),
            ("\u{ad}\u{2060}\u{3164}\u{e000}", "\\u{ad}\\u{2060}\\u{3164}\\u{e000}"),
            ("\u{fff9}\u{110bd}\u{1d173}", "\\u{fff9}\\u{110bd}\\u{1d173}"),
        ] {
            assert_eq!(clean(text), expected);
        }
        assert_eq!(clean_lines("a\n\u{1b}b"), "a\n\\u{1b}b");
    }

    #[test]
    fn json_keeps_its_meaning() {
        assert_eq!(
            clean_json("{\"a\":\"\u{202e}x\u{e0041}\u{7f}\"}\n"),
            "{\"a\":\"\\u202ex\\udb40\\udc41\\u007f\"}\n"
        );
        assert_eq!(clean_json("{\"a\":\"模型\"}\n"), "{\"a\":\"模型\"}\n");
    }

    #[test]
    fn a_log_keeps_its_colours_alone() {
        let mut written = Vec::new();
        CleanWriter(&mut written)
            .write_all("\u{1b}[32mINFO\u{1b}[0m a\u{202e}b\n".as_bytes())
            .unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), "\u{1b}[32mINFO\u{1b}[0m a\\u{202e}b\n");
    }
}
