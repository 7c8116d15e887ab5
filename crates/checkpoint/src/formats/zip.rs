//! The table of contents of a zip archive.
//!
//! Reads only what torch writes, and allocates nothing that the archive demands unchecked: the directory's
//! size is limited before it is read. Source: APPNOTE.TXT 6.3.10, sections 4.3 and 4.5.3.

use std::{collections::HashMap, ops::Range};

use crate::{file::Source, rejection::Rejection, view::Extent};

/// The largest directory that is read: some ten times SDXL's.
const DIRECTORY_LIMIT: u64 = 4 << 20;

/// Bytes of the end record, without the comment.
const END: usize = 22;
/// Bytes of the zip64 locator before the end record.
const LOCATOR: u64 = 20;
const MASKED_16: u64 = u16::MAX as u64;
const MASKED_32: u64 = u32::MAX as u64;

/// The methods that torch can read: stored as it is, and deflated, which other programs write.
const STORED: u64 = 0;
const DEFLATED: u64 = 8;

/// The most bytes that deflate makes of one.
const DEFLATE_RATIO: u64 = 1032;

/// An entry of an archive.
#[derive(Clone, Copy)]
pub(super) struct Stored {
    /// Where its data is.
    pub(super) extent: Extent,
    /// The check sum of its data; 0 if the writer left it out.
    pub(super) crc: u64,
}

/// The entries by their names.
pub(super) type Entries = HashMap<String, Stored>;

/// Reads the directory and every entry's local header.
pub(super) fn entries(file: &Source) -> Result<Entries, Rejection> {
    let directory = directory(file)?;
    let size = directory.end - directory.start;
    let bytes = file.bytes(directory.start, size as usize)?;
    let mut entries = Entries::new();
    let mut rest = Fields(&bytes);
    while !rest.0.is_empty() {
        let entry = entry(&mut rest)?;
        let stored = Stored { extent: locate(file, &entry, directory.start)?, crc: entry.crc };
        if entries.insert(entry.name, stored).is_some() {
            return Err(bad("two entries share a name"));
        }
    }
    Ok(entries)
}

/// Finds the directory through the end record at the file's end.
fn directory(file: &Source) -> Result<Range<u64>, Rejection> {
    let len = file.len();
    let tail = len.min(END as u64 + MASKED_16);
    let tail_start = len - tail;
    let bytes = file.bytes(tail_start, tail as usize)?;
    let found = (0..=bytes.len().saturating_sub(END)).rev().find(|&at| {
        // The comment must reach exactly to the end of the file: a signature inside it does not count.
        bytes[at..].starts_with(b"PK\x05\x06")
            && Fields(&bytes[at..]).skip(20).and_then(|mut fields| fields.u16()).ok()
                == Some((bytes.len() - at).saturating_sub(END) as u64)
    });
    let at = found.ok_or(Rejection::TruncatedZip { actual: len })?;
    let end_record = tail_start + at as u64;
    let mut fields = Fields(&bytes[at..]).skip(12)?;
    let (mut size, mut start) = (fields.u32()?, fields.u32()?);
    let mut limit = end_record;
    if let Some(zip64) = zip64_end(file, end_record)? {
        (size, start, limit) = zip64;
    }
    if size > DIRECTORY_LIMIT {
        return Err(bad("its directory is too large"));
    }
    // No gaps: torch writes nothing before the archive or between the records, and two readers could disagree
    // about what such an archive contains.
    match start.checked_add(size) {
        Some(end) if end == limit => Ok(start..end),
        _ => Err(bad("its directory is not where the end record says")),
    }
}

/// Returns size, start and limit of the directory from the zip64 end record, if there is one.
fn zip64_end(file: &Source, end_record: u64) -> Result<Option<(u64, u64, u64)>, Rejection> {
    let Some(locator) = end_record.checked_sub(LOCATOR) else { return Ok(None) };
    let bytes = file.bytes(locator, LOCATOR as usize)?;
    let mut fields = Fields(&bytes);
    if fields.take(4)? != b"PK\x06\x07" {
        return Ok(None);
    }
    let at = fields.skip(4)?.u64()?;
    const RECORD: u64 = 56;
    if at.checked_add(RECORD).is_none_or(|end| end > locator) {
        return Err(bad("its zip64 record is outside the file"));
    }
    let bytes = file.bytes(at, RECORD as usize)?;
    let mut fields = Fields(&bytes);
    if fields.take(4)? != b"PK\x06\x06" {
        return Err(bad("its zip64 record is missing"));
    }
    let mut fields = fields.skip(36)?;
    let (size, start) = (fields.u64()?, fields.u64()?);
    Ok(Some((size, start, at)))
}

/// A directory entry.
struct Entry {
    name: String,
    /// The size of the data in bytes, and as it is in the file if that differs.
    size: u64,
    packed: Option<u64>,
    crc: u64,
    /// Position of the local header.
    header: u64,
}

fn entry(fields: &mut Fields<'_>) -> Result<Entry, Rejection> {
    if fields.take(4)? != b"PK\x01\x02" {
        return Err(bad("its directory is damaged"));
    }
    fields.take(4)?;
    let (flags, method) = (fields.u16()?, fields.u16()?);
    fields.take(4)?;
    let crc = fields.u32()?;
    let (mut packed, mut size) = (fields.u32()?, fields.u32()?);
    let (name, extra, comment) = (fields.u16()?, fields.u16()?, fields.u16()?);
    fields.take(8)?;
    let mut header = fields.u32()?;
    let name = fields.take(name as usize)?;
    let name = std::str::from_utf8(name).map_err(|_| bad("an entry's name is not UTF-8"))?;
    let mut extra = Fields(fields.take(extra as usize)?);
    fields.take(comment as usize)?;
    while !extra.0.is_empty() {
        let (tag, len) = (extra.u16()?, extra.u16()?);
        let mut field = Fields(extra.take(len as usize)?);
        if tag == 1 {
            // It contains only the fields that are masked outside, in this order.
            for value in [&mut size, &mut packed, &mut header] {
                if *value == MASKED_32 {
                    *value = field.u64()?;
                }
            }
        }
    }
    let is_encrypted = flags & 1 != 0;
    let packed = match method {
        STORED if packed == size => None,
        DEFLATED if size / DEFLATE_RATIO <= packed => Some(packed),
        DEFLATED => return Err(bad("an entry is larger than it can be")),
        _ => return Err(Rejection::Compressed { entry: name.to_owned() }),
    };
    if is_encrypted {
        return Err(Rejection::Compressed { entry: name.to_owned() });
    }
    Ok(Entry { name: name.to_owned(), size, packed, crc, header })
}

/// Returns where the entry's data is, which must be after its local header and before the directory.
fn locate(file: &Source, entry: &Entry, directory: u64) -> Result<Extent, Rejection> {
    const LOCAL: u64 = 30;
    let outside = || Rejection::BadZip {
        reason: format!("entry {} of {} bytes is outside the file", entry.name, entry.size),
    };
    let fixed = entry.header.checked_add(LOCAL).filter(|end| *end <= directory);
    let fixed = fixed.ok_or_else(outside)?;
    let mut bytes = [0; LOCAL as usize];
    file.read(&mut bytes, entry.header)?;
    let mut fields = Fields(&bytes);
    if fields.take(4)? != b"PK\x03\x04" {
        return Err(bad("an entry's header is missing"));
    }
    let mut fields = fields.skip(22)?;
    let start = fixed.checked_add(fields.u16()?).and_then(|at| Some(at + fields.u16().ok()?));
    let start = start.ok_or_else(outside)?;
    let Entry { size: bytes, packed, .. } = *entry;
    let end = start.checked_add(packed.unwrap_or(bytes)).filter(|end| *end <= directory);
    end.map(|_| Extent { start, bytes, packed }).ok_or_else(outside)
}

fn bad(reason: &str) -> Rejection {
    Rejection::BadZip { reason: reason.to_owned() }
}

/// Reads little-endian fields from the front.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Rejection> {
        let (taken, rest) =
            self.0.split_at_checked(len).ok_or_else(|| bad("a record is cut short"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn skip(mut self, len: usize) -> Result<Self, Rejection> {
        self.take(len)?;
        Ok(self)
    }

    fn number(&mut self, len: usize) -> Result<u64, Rejection> {
        let bytes = self.take(len)?;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn u16(&mut self) -> Result<u64, Rejection> {
        self.number(2)
    }

    fn u32(&mut self) -> Result<u64, Rejection> {
        self.number(4)
    }

    fn u64(&mut self) -> Result<u64, Rejection> {
        self.number(8)
    }
}
