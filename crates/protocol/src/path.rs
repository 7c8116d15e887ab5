//! Paths as text.

use std::{fmt::Write, os::unix::ffi::OsStrExt, path::Path};

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
            assert_eq!(shown_path(Path::new(OsStr::from_bytes(path))), expected);
        }
    }
}
