//! Paths as text.

use std::{
    ffi::OsString,
    fmt::Write,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

/// A path as clients see and name it: the path itself where that is UTF-8. Each byte that is not becomes U+FFFD and two
/// hex digits, and U+FFFD itself likewise, so that no two paths look the same.
pub fn shown_path(path: &Path) -> String {
    let mut shown = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        for part in chunk.valid().split_inclusive('\u{fffd}') {
            match part.strip_suffix('\u{fffd}') {
                None => shown.push_str(part),
                Some(before) => {
                    shown.push_str(before);
                    escape(&mut shown, "\u{fffd}".as_bytes());
                }
            }
        }
        escape(&mut shown, chunk.invalid());
    }
    shown
}

/// The path that [`shown_path`] shows like this. For programs that open it.
pub fn real_path(shown: &str) -> PathBuf {
    let mut parts = shown.split('\u{fffd}');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.as_bytes().split_at(part.len().min(2));
        match digits {
            [high, low] if let (Some(high), Some(low)) = (digit(*high), digit(*low)) => {
                bytes.push(high << 4 | low);
            }
            _ => bytes.extend(["\u{fffd}".as_bytes(), digits].concat()),
        }
        bytes.extend(rest);
    }
    PathBuf::from(OsString::from_vec(bytes))
}

fn digit(hex: u8) -> Option<u8> {
    char::from(hex).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn escape(shown: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a text does not fail.
        let _ = write!(shown, "\u{fffd}{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn no_two_paths_look_the_same() {
        for (path, expected) in [
            ("/m/café.ckpt".as_bytes(), "/m/café.ckpt"),
            (b"/m/caf\xe9.ckpt", "/m/caf\u{fffd}e9.ckpt"),
            (b"/m/caf\xe8.ckpt", "/m/caf\u{fffd}e8.ckpt"),
            ("/m/caf\u{fffd}e9.ckpt".as_bytes(), "/m/caf\u{fffd}ef\u{fffd}bf\u{fffd}bde9.ckpt"),
            (b"\xff\xfe", "\u{fffd}ff\u{fffd}fe"),
            (b"", ""),
        ] {
            let path = Path::new(OsStr::from_bytes(path));
            assert_eq!(shown_path(path), expected);
            assert_eq!(real_path(expected), path);
        }
    }
}
