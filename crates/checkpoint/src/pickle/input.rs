//! A pickle's bytes, read from the front.

use crate::rejection::Rejection;

pub(super) struct Input<'a> {
    bytes: &'a [u8],
    /// The position of the next byte.
    at: usize,
    /// The position of the current instruction.
    start: usize,
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, start: 0 }
    }

    /// Starts an instruction.
    pub(super) fn begin(&mut self) {
        self.start = self.at;
    }

    /// The position of the current instruction.
    pub(super) fn start(&self) -> u64 {
        self.start as u64
    }

    /// The number of bytes read.
    pub(super) fn read(&self) -> usize {
        self.at
    }

    /// Returns the next `N` bytes.
    pub(super) fn take<const N: usize>(&mut self) -> Result<&'a [u8; N], Rejection> {
        let found = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk);
        let found = found.ok_or_else(|| self.bad("it ends early"))?;
        self.at += N;
        Ok(found)
    }

    /// Reads a length of `width` bytes, at most 8, and returns as many bytes.
    pub(super) fn counted(&mut self, width: usize) -> Result<&'a [u8], Rejection> {
        let mut len = [0; 8];
        for byte in &mut len[..width] {
            [*byte] = *self.take::<1>()?;
        }
        let end =
            usize::try_from(u64::from_le_bytes(len)).ok().and_then(|len| self.at.checked_add(len));
        let found = end.and_then(|end| self.bytes.get(self.at..end));
        let found = found.ok_or_else(|| self.bad("it ends early"))?;
        self.at += found.len();
        Ok(found)
    }

    /// Returns the text up to the end of the line.
    pub(super) fn line(&mut self) -> Result<&'a str, Rejection> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let len = rest.iter().position(|byte| *byte == b'\n');
        let line = len.and_then(|len| rest.get(..len)).ok_or_else(|| self.bad("it ends early"))?;
        self.at += line.len() + 1;
        std::str::from_utf8(line).map_err(|_| self.bad("a name that is not UTF-8"))
    }

    /// An error at the current instruction.
    pub(super) fn bad(&self, reason: &'static str) -> Rejection {
        Rejection::BadPickle { at: self.start(), reason }
    }
}
