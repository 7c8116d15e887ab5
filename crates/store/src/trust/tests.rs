use std::{fs, io::Cursor};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::*;

const NAME: &str =
    "engines/0101010101010101010101010101010101010101010101010101010101010101.sealed";
const PAYLOAD: &[u8] = br#"{"it":"works"}"#;

/// By `minisign -S -t "sdtrt store 1 NAME 1800000000"`, version 0.11.
const BY_THE_TOOL: &str = "untrusted comment: signature from minisign secret key
RURpXsK5kl094+bqBeBVrbYuE2L92YtjTDZXsqwZnCI5tYZVAwqonaDGhlADODyosuzra/l3X4nzvmPI3EAA2niHDUWua7tPrwE=
trusted comment: sdtrt store 1 engines/0101010101010101010101010101010101010101010101010101010101010101.sealed 1800000000
eNLluPiBPg7gITw9UF/4+SiwqIsHXIbRynv+H/am9SIAPnQ1PY0EQ7PG1c6wWCKwtNTiwK5sA3WWjWl/WeQrDw==
";

/// The same with `-l`.
const LEGACY: &str = "untrusted comment: signature from minisign secret key
RWRpXsK5kl0942G61K5vCdakYRxRqru1qWnUPDxeoYK6ZxJPK95S7jtLSS6u831+KDXyICEQBeae5l7YeSTQGiNlReV/rMtmYAU=
trusted comment: sdtrt store 1 engines/0101010101010101010101010101010101010101010101010101010101010101.sealed 1800000000
577crrM+4bPjkbLSn4QUhIzWWM76WBUnSQ9n47pQMXu6VJL7LTkerFS1B3XsD8FvAZTgqryvJimrRg7a1yeOAA==
";

fn tool() -> PublicKey {
    "RWRpXsK5kl09486+X2Ihyff/rD9WuMlBQxcI+Nz+5IcJzbwxKGHYuvA6".parse().unwrap()
}

fn key() -> SigningKey {
    let dir = tempfile::tempdir().unwrap();
    SigningKey::generate(&dir.path().join("key")).unwrap()
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// With these lines changed.
fn changed(sealed: &[u8], line: usize, change: impl Fn(&str) -> String) -> Vec<u8> {
    let text = str::from_utf8(sealed).unwrap();
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    lines[line] = change(&lines[line]);
    lines.join("\n").into_bytes()
}

/// With the first character that begins another base64 value.
fn damaged(line: &str) -> String {
    let other = if line.as_bytes()[20] == b'A' { "B" } else { "A" };
    format!("{}{other}{}", &line[..20], &line[21..])
}

#[test]
fn what_minisign_itself_has_signed_is_opened() {
    let trust = Trust::new(vec![tool()]);
    let opened = trust.verify(NAME, &joined(&[BY_THE_TOOL.as_bytes(), PAYLOAD])).unwrap();
    let signer = "E33D5D92B9C25E69".to_owned();
    assert_eq!(opened, Opened { payload: PAYLOAD.to_owned(), time: 1_800_000_000, signer });
    let legacy = joined(&[LEGACY.as_bytes(), PAYLOAD]);
    assert_eq!(trust.verify(NAME, &legacy), Err(Refusal::Legacy));
}

#[test]
fn the_first_four_lines_are_a_minisign_signature_of_the_rest() {
    let key = key();
    let payload = b"{\n}\n";
    let sealed = String::from_utf8(seal(&key, NAME, 7, payload).unwrap()).unwrap();
    let head: String = sealed.split_inclusive('\n').take(4).collect();
    let tail: String = sealed.split_inclusive('\n').skip(4).collect();
    assert_eq!(tail.as_bytes(), payload);
    let public = minisign::PublicKey::from_base64(&key.public().to_string()).unwrap();
    let signature = minisign::SignatureBox::from_string(&head).unwrap();
    minisign::verify(&public, &signature, Cursor::new(tail), true, false, false).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("signature");
    fs::write(&path, head).unwrap();
    let signature = minisign_verify::Signature::from_file(path).unwrap();
    let public = minisign_verify::PublicKey::from_base64(&key.public().to_string()).unwrap();
    public.verify(payload, &signature, false).unwrap();
    assert_eq!(signature.trusted_comment(), format!("sdtrt store 1 {NAME} 7"));
}

#[test]
fn whatever_is_not_as_it_was_sealed_is_refused_for_what_it_is() {
    let (ours, other) = (key(), key());
    let trust = Trust::new(vec![tool(), ours.public().clone()]);
    let good = seal(&ours, NAME, 7, PAYLOAD).unwrap();
    let signer = ours.public().id();
    let expected = Opened { payload: PAYLOAD.to_owned(), time: 7, signer };
    assert_eq!(trust.verify(NAME, &good), Ok(expected));

    let by_other = seal(&other, NAME, 7, PAYLOAD).unwrap();
    let foreign = || Refusal::Foreign { key: other.public().id() };
    let commented = |comment: &str| ours.seal(comment, PAYLOAD).unwrap();
    let no_object =
        || Refusal::NotWhatItSays("its signature is not of an object of a store".to_owned());
    let end = |line: usize| {
        let ends = good.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        ends.map(|(at, _)| at).nth(line).unwrap()
    };
    let swapped = || Refusal::Swapped { says: "engines/other".to_owned() };
    for (what, sealed, refusal) in [
        ("JSON alone", PAYLOAD.to_owned(), Refusal::Unsigned),
        ("other lines before it", joined(&[b"\n", &good]), Refusal::Unsigned),
        ("nothing", vec![], Refusal::Truncated),
        ("half a word", b"untru".to_vec(), Refusal::Truncated),
        ("within its first line", good[..end(0)].to_owned(), Refusal::Truncated),
        ("its first line", good[..=end(0)].to_owned(), Refusal::Truncated),
        ("within its second line", good[..end(1)].to_owned(), Refusal::Truncated),
        ("two lines", good[..=end(1)].to_owned(), Refusal::Truncated),
        ("within its third line", good[..end(2)].to_owned(), Refusal::Truncated),
        ("three lines", good[..=end(2)].to_owned(), Refusal::Truncated),
        ("within its fourth line", good[..end(3)].to_owned(), Refusal::Truncated),
        ("no payload", good[..=end(3)].to_owned(), Refusal::Damaged),
        ("half a payload", good[..good.len() - 3].to_owned(), Refusal::Damaged),
        ("more payload", joined(&[&good, b" "]), Refusal::Damaged),
        ("another payload", joined(&[&good[..=end(3)], b"{}"]), Refusal::Damaged),
        ("a changed signature", changed(&good, 1, damaged), Refusal::Damaged),
        ("a changed comment", changed(&good, 2, |line| format!("{line}0")), Refusal::Damaged),
        ("a changed global signature", changed(&good, 3, damaged), Refusal::Damaged),
        ("a short signature", changed(&good, 1, |line| line[..96].into()), Refusal::Damaged),
        ("a short global signature", changed(&good, 3, |_| "AAAA".into()), Refusal::Damaged),
        ("no base64", changed(&good, 3, |line| format!("?{line}")), Refusal::Damaged),
        ("another third line", changed(&good, 2, |_| "comment: x".into()), Refusal::Damaged),
        ("lines as on Windows", changed(&good, 2, |line| format!("{line}\r")), Refusal::Damaged),
        (
            "an unknown algorithm",
            changed(&good, 1, |line| line.replacen("RU", "RX", 1)),
            Refusal::Damaged,
        ),
        (
            "a legacy algorithm",
            changed(&good, 1, |line| line.replacen("RU", "RW", 1)),
            Refusal::Legacy,
        ),
        ("a foreign key", by_other.clone(), foreign()),
        // The key's id is not signed.
        (
            "a foreign signature with our id",
            changed(&by_other, 1, |line| {
                let decoded = |line: &str| STANDARD.decode(line).unwrap();
                let ours = decoded(str::from_utf8(&good).unwrap().split('\n').nth(1).unwrap());
                // The algorithm and the id take ten bytes.
                STANDARD.encode([&ours[..10], &decoded(line)[10..]].concat())
            }),
            Refusal::Damaged,
        ),
        ("another name", commented("sdtrt store 1 engines/other 7"), swapped()),
        ("a later format", commented(&format!("sdtrt store 2 {NAME} 7")), Refusal::Format(2)),
        ("a later format in other words", commented("sdtrt store 12"), Refusal::Format(12)),
        ("no time", commented(&format!("sdtrt store 1 {NAME}")), no_object()),
        ("no number for a time", commented(&format!("sdtrt store 1 {NAME} now")), no_object()),
        ("more words", commented(&format!("sdtrt store 1 {NAME} 7 x")), no_object()),
        ("minisign's own comment", commented("timestamp:7\tfile:x\thashed"), no_object()),
        ("no comment", commented(""), no_object()),
    ] {
        assert_eq!(trust.verify(NAME, &sealed), Err(refusal), "{what}");
    }
    assert_eq!(
        Trust::default().verify(NAME, &good),
        Err(Refusal::Foreign { key: ours.public().id() })
    );
}

#[test]
fn no_byte_can_be_changed_but_in_the_comment_that_nobody_believes() {
    let ours = key();
    let trust = Trust::new(vec![ours.public().clone()]);
    let good = seal(&ours, NAME, 7, PAYLOAD).unwrap();
    let comment = START.len()..good.iter().position(|&byte| byte == b'\n').unwrap();
    for at in (0..good.len()).filter(|at| !comment.contains(at)) {
        for flip in [1, 0x20, 0x80] {
            let mut sealed = good.clone();
            sealed[at] ^= flip;
            assert!(trust.verify(NAME, &sealed).is_err(), "{at}");
        }
    }
}

#[test]
fn keys_of_the_same_id_are_told_apart() {
    let (ours, other) = (key(), key());
    let bytes = |key: &SigningKey| {
        minisign::PublicKey::from_base64(&key.public().to_string()).unwrap().to_bytes()
    };
    let mut same_id = bytes(&other);
    same_id[2..10].copy_from_slice(&bytes(&ours)[2..10]);
    let same_id = minisign::PublicKey::from_bytes(&same_id).unwrap().to_base64().parse().unwrap();
    let good = seal(&ours, NAME, 7, PAYLOAD).unwrap();
    let both = Trust::new(vec![same_id, ours.public().clone()]);
    assert!(both.verify(NAME, &good).is_ok());
}
