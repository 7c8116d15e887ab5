//! Reads views, a part at a time.

use std::io::{self, Read};

use flate2::read::DeflateDecoder;

use super::{Extent, View};
use crate::{file::Source, rejection::Rejection};

/// Bytes per read of what is contiguous: see `hash.rs`. A multiple of every element's.
const BUFFER: u64 = 256 << 10;

/// The most bytes of elements that are gathered at once, and of storage that are read for them. Whatever its
/// strides are, no tensor takes more memory than two of these.
pub(super) const BLOCK: u64 = 4 << 20;

/// Reads views of one file; of a deflated entry, it goes on where the last one ended, if that is before the next.
pub(crate) struct Reader<'a> {
    source: &'a Source,
    inflated: Option<Inflated<'a>>,
}

type Sink<'s> = &'s mut dyn FnMut(&[u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(source: &'a Source) -> Self {
        Self { source, inflated: None }
    }

    /// Gives `sink` the view's bytes, in row-major order.
    pub(crate) fn read(&mut self, view: &View, sink: Sink<'_>) -> Result<(), Rejection> {
        if view.is_contiguous() { self.stream(view, sink) } else { self.gather(view, sink) }
    }

    fn stream(&mut self, view: &View, sink: Sink<'_>) -> Result<(), Rejection> {
        let mut buffer = vec![0; view.bytes().min(BUFFER) as usize];
        let (mut at, end) = (view.skipped, view.skipped + view.bytes());
        while at < end {
            let part = &mut buffer[..(end - at).min(BUFFER) as usize];
            self.fill(&view.extent, at, part)?;
            at += part.len() as u64;
            give(view, part, sink);
        }
        Ok(())
    }

    fn gather(&mut self, view: &View, sink: Sink<'_>) -> Result<(), Rejection> {
        let (mut block, mut window) = (Vec::new(), Vec::new());
        for elements in view.blocks() {
            block.resize(((elements.end - elements.start) * view.element) as usize, 0);
            let span = view.span(&elements);
            let mut start = span.start;
            while start < span.end {
                let end = span.end.min(start + BLOCK / view.element);
                window.resize(((end - start) * view.element) as usize, 0);
                self.fill(&view.extent, view.skipped + start * view.element, &mut window)?;
                view.gather(&elements, &(start..end), &window, &mut block);
                start = end;
            }
            give(view, &mut block, sink);
        }
        Ok(())
    }

    /// Fills the buffer with the extent's bytes from `at` on.
    pub(crate) fn fill(
        &mut self,
        extent: &Extent,
        at: u64,
        buffer: &mut [u8],
    ) -> Result<(), Rejection> {
        let Some(packed) = extent.packed else {
            return self.source.read(buffer, extent.start + at);
        };
        let goes_on =
            self.inflated.take().filter(|open| open.start == extent.start && open.at <= at);
        let mut open = goes_on.unwrap_or_else(|| Inflated::open(self.source, extent.start, packed));
        let read = open.skip_to(at).and_then(|()| open.fill(buffer));
        self.inflated = Some(open);
        read.map_err(|source| match source.kind() {
            io::ErrorKind::InvalidInput
            | io::ErrorKind::InvalidData
            | io::ErrorKind::UnexpectedEof => {
                Rejection::BadZip { reason: format!("what it holds can't be inflated: {source}") }
            }
            _ => Rejection::Unreadable { doing: "read it", source },
        })
    }
}

fn give(view: &View, part: &mut [u8], sink: Sink<'_>) {
    if let Some(flip) = view.flip {
        flip.apply(part);
    }
    sink(part);
}

/// A deflated entry, read up to some byte.
struct Inflated<'a> {
    start: u64,
    at: u64,
    decoder: DeflateDecoder<Packed<'a>>,
}

impl<'a> Inflated<'a> {
    fn open(source: &'a Source, start: u64, packed: u64) -> Self {
        let decoder = DeflateDecoder::new(Packed { source, at: start, end: start + packed });
        Self { start, at: 0, decoder }
    }

    fn skip_to(&mut self, at: u64) -> io::Result<()> {
        let mut skipped = vec![0; (at - self.at).min(BUFFER) as usize];
        while self.at < at {
            let len = (at - self.at).min(BUFFER) as usize;
            self.fill(&mut skipped[..len])?;
        }
        Ok(())
    }

    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.decoder.read_exact(buffer)?;
        self.at += buffer.len() as u64;
        Ok(())
    }
}

/// A range of a file.
struct Packed<'a> {
    source: &'a Source,
    at: u64,
    end: u64,
}

impl Read for Packed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = (self.end - self.at).min(buffer.len() as u64) as usize;
        self.source.read(&mut buffer[..len], self.at).map_err(|error| match error {
            Rejection::Unreadable { source, .. } => source,
            other => io::Error::other(other.to_string()),
        })?;
        self.at += len as u64;
        Ok(len)
    }
}
