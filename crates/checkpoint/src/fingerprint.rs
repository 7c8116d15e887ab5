//! What machines that see the same file call it before any of them has read it.

use std::{fs::File, io, os::unix::fs::FileExt};

use crate::{Id, Stamp};

/// Bytes of the start that count: most of a header.
const START: u64 = 64 << 10;

/// Blocks that count, spread evenly over the file, and the bytes of each.
const BLOCKS: u64 = 32;
const BLOCK: u64 = 4 << 10;

/// Network file systems tell times in steps of 100 ns at most.
const STEP_NS: i128 = 100;

/// The same for the same file wherever it is mounted: a hash over its size, its modification time, its start and a few
/// blocks. Two files that differ elsewhere alone have the same one, so it only finds what must then be compared.
///
/// # Errors
/// When the file can't be read, or is shorter than `stamp` says.
pub fn fingerprint(file: &File, stamp: &Stamp) -> io::Result<Id> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"sdtrt fingerprint 1\n");
    hasher.update(&stamp.size.to_le_bytes());
    hasher.update(&(stamp.mtime_ns / STEP_NS).to_le_bytes());
    let mut buffer = vec![0; START.min(stamp.size) as usize];
    file.read_exact_at(&mut buffer, 0)?;
    hasher.update(&buffer);
    let mut block = vec![0; BLOCK.min(stamp.size) as usize];
    let room = stamp.size - block.len() as u64;
    for number in 1..=BLOCKS {
        file.read_exact_at(
            &mut block,
            (u128::from(room) * u128::from(number) / u128::from(BLOCKS)) as u64,
        )?;
        hasher.update(&block);
    }
    Ok(Id::from(hasher.finalize()))
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        time::{Duration, SystemTime},
    };

    use super::*;

    #[test]
    fn it_is_the_same_for_the_same_content_size_and_time() {
        let dir = tempfile::tempdir().unwrap();
        let made = |name: &str, change: Option<usize>, seconds: u64, len: usize| {
            let path = dir.path().join(name);
            let mut bytes: Vec<u8> = (0..len).map(|n| (n ^ n >> 8) as u8).collect();
            if let Some(at) = change {
                bytes[at] ^= 1;
            }
            fs::write(&path, bytes).unwrap();
            let file = File::options().write(true).read(true).open(&path).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
            fingerprint(&file, &Stamp::of(&path).unwrap()).unwrap()
        };
        const LEN: usize = 1 << 20;
        let first = made("first", None, 1000, LEN);
        assert_eq!(first, made("copy", None, 1000, LEN));
        for (what, change, seconds, len) in [
            ("written later", None, 1001, LEN),
            ("longer", None, 1000, LEN + 1),
            ("another header", Some(9), 1000, LEN),
            ("another end", Some(LEN - 1), 1000, LEN),
        ] {
            assert_ne!(first, made("other", change, seconds, len), "{what}");
        }
        assert_eq!(first, made("elsewhere", Some(110_000), 1000, LEN), "it is only a sample");
        made("tiny", None, 1000, 1);
        made("empty", None, 1000, 0);
    }

    #[test]
    fn a_file_that_got_shorter_has_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, [7; 100]).unwrap();
        let stamp = Stamp::of(&path).unwrap();
        fs::write(&path, [7; 50]).unwrap();
        fingerprint(&File::open(&path).unwrap(), &stamp).unwrap_err();
    }
}
