//! Pickles of plain values, as other programs keep them.

use crate::pickle::{Value, read};

/// A text or a number.
#[derive(Clone, Debug, PartialEq)]
pub enum Plain {
    /// A text.
    Text(String),
    /// A number.
    Number(f64),
}

/// Returns the texts and numbers of a pickled dict by name, without running it; `None` if it is no dict, or can't be
/// read.
pub fn plain_dict(pickled: &[u8]) -> Option<Vec<(String, Plain)>> {
    let pickle = read(pickled).ok()?;
    let plain = pickle.dict(pickle.top)?.iter().filter_map(|(name, value)| {
        let Value::Text(name) = name else { return None };
        let value = match value {
            Value::Text(text) => Plain::Text((*text).to_owned()),
            Value::Float(number) => Plain::Number(*number),
            Value::Int(number) => Plain::Number(*number as f64),
            _ => return None,
        };
        Some(((*name).to_owned(), value))
    });
    Some(plain.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dicts_are_read_and_nothing_is_run() {
        // pickle.dumps({"a": "b", "c": 0.5, "d": 3, "e": [1]}, 4)
        let dict = b"\x80\x04}(\x8c\x01a\x8c\x01b\x8c\x01cG?\xe0\0\0\0\0\0\0\x8c\x01dK\x03\x8c\x01e]K\x01au.";
        let text = |text: &str| text.to_owned();
        let expected = [
            (text("a"), Plain::Text(text("b"))),
            (text("c"), Plain::Number(0.5)),
            (text("d"), Plain::Number(3.0)),
        ];
        assert_eq!(plain_dict(dict).unwrap(), expected);
        // os.system("true"), a list, and nothing.
        for other in
            [&b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R."[..], b"\x80\x04].", b""]
        {
            assert_eq!(plain_dict(other), None);
        }
    }
}
