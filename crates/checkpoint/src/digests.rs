//! The hashes by which people and other programs know a file: Civitai's names of them, and A1111's.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{file::Source, rejection::Rejection};

/// Bytes per read. Each hash takes a whole part at a time, on a thread of its own.
const PART: usize = 4 << 20;

/// What AutoV1 covers, `model_hash` in A1111: 64 KiB behind the first MiB, or what there is of it.
const AUTO_V1: Range<u64> = 0x10_0000..0x11_0000;

/// Hexadecimal digits of each short form.
const AUTO_V1_DIGITS: usize = 8;
const AUTO_V2_DIGITS: usize = 10;
const AUTO_V3_DIGITS: usize = 12;

/// The hashes of a whole file, in lower-case hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Digests {
    /// Of all bytes.
    pub sha256: String,
    /// The start of the SHA-256 of 64 KiB: what A1111 called a model at first.
    pub autov1: String,
    /// The start of `sha256`: what A1111 writes into pictures, and shows in square brackets.
    pub autov2: String,
    /// The start of the SHA-256 of what follows a safetensors header, which so survives a change of metadata; absent for
    /// torch files.
    pub autov3: Option<String>,
    /// Of all bytes.
    pub crc32: String,
    /// Of all bytes. ComfyUI calls the file `blake3:` and this.
    pub blake3: String,
}

/// Reads a file once. `data` is where a safetensors file's header ends.
///
/// # Errors
/// Those of reading.
pub(crate) fn digests(file: &Source, data: Option<u64>) -> Result<Digests, Rejection> {
    let mut first = Vec::new();
    let (mut whole, mut tail) = (Sha256::new(), Sha256::new());
    let (mut crc32, mut blake3) = (crc32fast::Hasher::new(), blake3::Hasher::new());
    let mut part = vec![0; PART];
    let mut at: u64 = 0;
    while at < file.len() {
        let length = (file.len() - at).min(PART as u64) as usize;
        file.read(&mut part[..length], at)?;
        let bytes = &part[..length];
        first.extend_from_slice(within(bytes, at, AUTO_V1));
        let behind = data.map_or(&[][..], |start| within(bytes, at, start..u64::MAX));
        rayon::scope(|scope| {
            scope.spawn(|_| whole.update(bytes));
            scope.spawn(|_| tail.update(behind));
            scope.spawn(|_| crc32.update(bytes));
            scope.spawn(|_| {
                blake3.update(bytes);
            });
        });
        at += length as u64;
    }
    let sha256 = hex(&whole.finalize());
    let short = |hash: &[u8], digits| hex(hash)[..digits].to_owned();
    Ok(Digests {
        autov1: short(&Sha256::digest(&first), AUTO_V1_DIGITS),
        autov2: sha256[..AUTO_V2_DIGITS].to_owned(),
        autov3: data.map(|_| short(&tail.finalize(), AUTO_V3_DIGITS)),
        crc32: format!("{:08x}", crc32.finalize()),
        blake3: blake3.finalize().to_hex().to_string(),
        sha256,
    })
}

/// The bytes of a part that starts at `at` in the file and are within a range of it.
fn within(bytes: &[u8], at: u64, range: Range<u64>) -> &[u8] {
    let end = at + bytes.len() as u64;
    let (from, to) = (range.start.clamp(at, end), range.end.clamp(at, end));
    &bytes[(from - at) as usize..(to - at) as usize]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 e3b0c442 e3b0c44298 - 00000000 af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
    const LARGE: &str = "f0a8d23ad537b760b7f2fcd747cae56f32e0586729ad08ccf9d767a54369c21f b23f3f2f f0a8d23ad5 0bd2a09cd05a 2dea2e9d b641fc1a2ba64af1df928f84644036b0d8330ae03c44139cf440e602800fef2c";
    const ENDS_WITHIN_AUTO_V1: &str = "6fa0d238e54b0a74eeb8e19c1626d11114ea2c71d9549ea20b26d3a9c64f05dc 10c58c1e 6fa0d238e5 - 11f6e975 dd4b162a99ae64c26269bea12d2ee3a9fe9ea871ce551c357d0555f612442dbd";

    /// What Python's hashlib and zlib, and b3sum say of these files.
    #[test]
    fn each_hash_is_what_others_compute() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let pattern =
            |length: usize| -> Vec<u8> { (0..length).map(|at| (at * 31 % 251) as u8).collect() };
        for (content, data, expected) in [
            (Vec::new(), None, EMPTY),
            (pattern(9_000_000), Some(1_000_003), LARGE),
            (pattern(0x10_8000), None, ENDS_WITHIN_AUTO_V1),
        ] {
            fs::write(&path, &content).unwrap();
            let source = Source::open(&path, |_| true).unwrap();
            let found = digests(&source, data).unwrap();
            let autov3 = found.autov3.as_deref().unwrap_or("-");
            let Digests { sha256, autov1, autov2, crc32, blake3, .. } = &found;
            assert_eq!(format!("{sha256} {autov1} {autov2} {autov3} {crc32} {blake3}"), expected);
        }
    }
}
