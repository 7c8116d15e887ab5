//! A few megabytes of a file that tell, most likely, whether the rest has changed.

use std::{
    fs::File,
    hash::{BuildHasher, RandomState},
    io,
    os::unix::fs::FileExt,
};

use serde::{Deserialize, Serialize};

/// Equal parts of a file, of each of which one block is compared. A run of changes as
/// long as two of them is found for sure, as it covers one.
const PARTS: u64 = 96;

/// Blocks that are remembered of each part. Which of them is compared is drawn each time, so that what is
/// missed once need not be missed for good.
const CHOICES: usize = 2;

/// The most bytes in a block. Many small ones find more than a few large ones; a disk takes longer to reach one
/// than to read this much.
const BLOCK: u64 = 64 << 10;

/// The most bytes of the start, which hold the header of a safetensors file of SDXL's size.
const HEAD: u64 = 512 << 10;

/// Of a smaller file fewer bytes are compared: this part of it as blocks, and as much as its start.
const SHARE: u64 = 32;

/// Digests of a file's start, its end, and blocks spread over it: up to 3 KB in the cache for up to 7 MB that
/// are read. Where the blocks lie was drawn when the file was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excerpt {
    len: u64,
    head: u64,
    /// Position and digest, [`CHOICES`] of each part, and the last bytes.
    blocks: Vec<(u64, u64)>,
}

impl Excerpt {
    /// Of a file of up to so many bytes everything counts, and reading it again costs no more.
    pub const WHOLE: u64 = 256 << 10;

    /// Takes it from a file of `len` bytes, which `fill` reads from a position on.
    ///
    /// # Errors
    /// Those of `fill`.
    pub(crate) fn take<E>(
        len: u64,
        fill: impl Fn(&mut [u8], u64) -> Result<(), E>,
    ) -> Result<Self, E> {
        let (head_bytes, block_bytes) = sizes(len);
        let mut buffer = vec![0; head_bytes.max(block_bytes) as usize];
        let mut read = |at, bytes: u64| {
            let part = &mut buffer[..bytes as usize];
            fill(part, at)?;
            Ok(digest(part))
        };
        let head = read(0, head_bytes)?;
        let mut blocks = Vec::new();
        if block_bytes > 0 {
            let random = RandomState::new();
            for part in 0..PARTS {
                let start = len / PARTS * part;
                let room = (len / PARTS).saturating_sub(block_bytes) + 1;
                for choice in 0..CHOICES {
                    let at = start + random.hash_one((part, choice)) % room;
                    blocks.push((at, read(at, block_bytes)?));
                }
            }
            // A torch file's list of contents.
            let end = len - block_bytes;
            blocks.push((end, read(end, block_bytes)?));
        }
        Ok(Self { len, head, blocks })
    }

    /// Whether `file` is as it was, as far as a draw of the blocks tells.
    ///
    /// # Errors
    /// When it can't be read, or gets shorter meanwhile.
    pub fn matches(&self, file: &File) -> io::Result<bool> {
        if file.metadata()?.len() != self.len {
            return Ok(false);
        }
        let (head_bytes, block_bytes) = sizes(self.len);
        let mut buffer = vec![0; head_bytes.max(block_bytes) as usize];
        let mut read = |at, bytes: u64| -> io::Result<u64> {
            let part = &mut buffer[..bytes as usize];
            file.read_exact_at(part, at)?;
            Ok(digest(part))
        };
        if read(0, head_bytes)? != self.head {
            return Ok(false);
        }
        let random = RandomState::new();
        for (part, choices) in self.blocks.chunks(CHOICES).enumerate() {
            let drawn = random.hash_one(part) as usize % choices.len();
            let (at, expected) = choices[drawn];
            if read(at, block_bytes)? != expected {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Bytes of the start, and of each block, of a file of `len` bytes.
fn sizes(len: u64) -> (u64, u64) {
    if len <= Excerpt::WHOLE {
        return (len, 0);
    }
    let share = len / SHARE;
    (share.min(HEAD), (share / PARTS).clamp(1, BLOCK))
}

/// Eight bytes of a digest: nobody makes files that collide to have an old engine kept.
fn digest(bytes: &[u8]) -> u64 {
    let hash = blake3::hash(bytes);
    hash.as_bytes().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A file with all its bytes different from those of its neighbours.
    fn file(len: u64) -> File {
        let mut file = tempfile::tempfile().unwrap();
        let bytes: Vec<u8> = (0..len).map(|n| (n ^ n >> 8 ^ n >> 16) as u8).collect();
        file.write_all(&bytes).unwrap();
        file
    }

    fn take(file: &File, len: u64) -> Excerpt {
        Excerpt::take(len, |buffer, at| file.read_exact_at(buffer, at)).unwrap()
    }

    #[test]
    fn what_has_changed_is_found() {
        const LEN: u64 = 9 << 20;
        for (what, at, bytes, is_found) in [
            ("nothing", 0, 0, false),
            ("a byte of the header", 60_000, 1, true),
            ("the last byte", LEN - 1, 1, true),
            ("a run in the middle", LEN / 2 - 70_000, LEN / 48, true),
            ("all but the header", 300_000, LEN - 300_000, true),
        ] {
            let file = file(LEN);
            let excerpt = take(&file, LEN);
            file.write_all_at(&vec![0xa5; bytes as usize], at).unwrap();
            assert_eq!(excerpt.matches(&file).unwrap(), !is_found, "{what}");
            assert!(!excerpt.blocks.is_empty());
        }
    }

    #[test]
    fn of_a_small_file_everything_counts() {
        for len in [0, 1, 100, Excerpt::WHOLE] {
            let file = file(len);
            let excerpt = take(&file, len);
            assert!(excerpt.matches(&file).unwrap() && excerpt.blocks.is_empty(), "{len}");
            if len > 0 {
                file.write_all_at(&[0x5a], len / 2).unwrap();
                assert!(!excerpt.matches(&file).unwrap(), "{len}");
            }
            file.set_len(len + 1).unwrap();
            assert!(!excerpt.matches(&file).unwrap(), "longer than {len}");
        }
    }

    /// A full-size checkpoint costs at most 8 MB to compare and little to remember.
    #[test]
    fn a_sample_stays_small() {
        for gb in [1, 2, 7, 24, 1000] {
            let (head, block) = sizes(gb << 30);
            assert!(head + (PARTS + 1) * block <= 8_000_000, "{gb} GB");
        }
        let (head, block) = sizes(9_000_000);
        assert!(head + (PARTS + 1) * block < 700_000);
        let excerpt = take(&file(9_000_000), 9_000_000);
        assert!(postcard::to_allocvec(&excerpt).unwrap().len() < 4000);
    }
}
