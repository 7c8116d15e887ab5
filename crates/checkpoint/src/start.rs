//! The start of a file, in memory that is used again for the next one.

use std::{cell::Cell, fs::File, io, mem};

use rustix::{buffer::spare_capacity, io::Errno};

use crate::excerpt::Excerpt;

/// Its most bytes: all of a small file, and the header of most others.
const START: u64 = Excerpt::WHOLE;

thread_local! {
    /// Memory that this thread has written to before: with thousands of small files, the kernel would otherwise be
    /// asked for it, and clear it, for each of them; and it is still in the core's cache.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The first bytes of a file.
#[derive(Debug)]
pub(crate) struct Start(Vec<u8>);

impl Start {
    /// Reads the start of a file of `len` bytes.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if it is shorter now.
    pub(crate) fn read(file: &File, len: u64) -> io::Result<Self> {
        let len = len.min(START) as usize;
        let mut start = Self(SPARE.take());
        let bytes = &mut start.0;
        bytes.clear();
        bytes.reserve_exact(START as usize);
        while bytes.len() < len {
            // In one call: the standard library begins with 8 KiB, and takes five for 190.
            let at = bytes.len() as u64;
            match rustix::io::pread(file, spare_capacity(bytes), at) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        // What has been written to the file since its size was seen is not part of it.
        bytes.truncate(len);
        Ok(start)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Start {
    fn drop(&mut self) {
        // A thread that ends has no more use for it.
        let _ = SPARE.try_with(|spare| spare.set(mem::take(&mut self.0)));
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write};

    use super::*;

    #[test]
    fn each_file_has_its_own_bytes_whatever_was_read_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let try_read = |content: &[u8], len| {
            fs::write(&path, content).unwrap();
            Start::read(&File::open(&path).unwrap(), len)
        };
        let read = |content: &[u8], len| try_read(content, len).unwrap();
        let long = read(&[7; 300 << 10], 300 << 10);
        assert_eq!(long.bytes(), [7; START as usize]);
        drop(long);
        let (short, other) = (read(b"short", 5), read(b"other", 5));
        assert_eq!((short.bytes(), other.bytes()), (&b"short"[..], &b"other"[..]));
        drop((short, other));
        let cut = try_read(b"it was cut", 100).unwrap_err();
        assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(read(b"it grew", 2).bytes(), b"it");
        assert_eq!(read(b"", 0).bytes(), b"");
    }

    #[test]
    fn the_position_of_the_open_file_does_not_count() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"all of it").unwrap();
        assert_eq!(Start::read(&file, 9).unwrap().bytes(), b"all of it");
    }
}
