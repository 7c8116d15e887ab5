use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use engine::open_regular;
use tracing::warn;

/// What a table's file begins with. The BLAKE3 digest of the rest follows, then the entries.
const MAGIC: &[u8] = b"sdtrt table 1\n";

/// Where the entries begin in it: each is the key and then the value, with the length of each before it.
const CONTENT: usize = MAGIC.len() + blake3::OUT_LEN;

/// Bytes of a length.
const LENGTH: usize = size_of::<u64>();

/// Values by key.
pub(super) type Entries = HashMap<Box<[u8]>, Box<[u8]>>;

/// Entries in one file, which is read and replaced as a whole: a start reads thousands of them in a few
/// milliseconds, where a database takes as long to open, and syncs before it answers.
#[derive(Debug)]
pub(super) struct Table {
    path: PathBuf,
    /// `None` until they are needed.
    entries: Option<Entries>,
    /// What changed while the file could not be read; `None` stands for a deletion.
    ahead: HashMap<Box<[u8]>, Option<Box<[u8]>>>,
    /// The number of changes so far, and how many of them are in the file.
    changes: u64,
    saved: u64,
}

/// What a table's file is to hold.
pub(super) struct Unsaved {
    pub(super) content: Vec<u8>,
    changes: u64,
}

impl Table {
    /// The one at `path`, which need not exist.
    pub(super) fn new(path: PathBuf) -> Self {
        let (entries, ahead) = (None, HashMap::new());
        Self { path, entries, ahead, changes: 0, saved: 0 }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// All entries. What is damaged counts as absent.
    ///
    /// # Errors
    /// When the file can't be read now; it may be intact.
    pub(super) fn entries(&mut self) -> io::Result<&Entries> {
        self.read().map(|entries| &*entries)
    }

    fn read(&mut self) -> io::Result<&mut Entries> {
        if self.entries.is_none() {
            let mut entries = read(&self.path)?;
            self.ahead.drain().for_each(|(key, value)| set(&mut entries, key, value));
            self.entries = Some(entries);
        }
        Ok(self.entries.get_or_insert_default())
    }

    /// The value of an entry.
    ///
    /// # Errors
    /// As [`Self::entries`].
    pub(super) fn get(&mut self, key: &[u8]) -> io::Result<Option<&[u8]>> {
        if self.ahead.contains_key(key) && self.read().is_err() {
            return Ok(self.ahead.get(key).and_then(Option::as_deref));
        }
        Ok(self.entries()?.get(key).map(|value| &**value))
    }

    /// Sets an entry, or removes it.
    pub(super) fn put(&mut self, key: &[u8], value: Option<Vec<u8>>) {
        self.changes += 1;
        let (key, value) = (key.into(), value.map(Vec::into_boxed_slice));
        match self.read() {
            Ok(entries) => set(entries, key, value),
            Err(_) => drop(self.ahead.insert(key, value)),
        }
    }

    /// What is to be written, if something has changed since it was.
    ///
    /// # Errors
    /// As [`Self::entries`].
    pub(super) fn unsaved(&mut self) -> io::Result<Option<Unsaved>> {
        let changes = self.changes;
        if changes == self.saved {
            return Ok(None);
        }
        Ok(Some(Unsaved { content: encode(self.entries()?), changes }))
    }

    /// Takes in that this was written.
    pub(super) fn record_saved(&mut self, unsaved: &Unsaved) {
        self.saved = unsaved.changes;
    }
}

fn set(entries: &mut Entries, key: Box<[u8]>, value: Option<Box<[u8]>>) {
    match value {
        Some(value) => entries.insert(key, value),
        None => entries.remove(&key),
    };
}

fn read(path: &Path) -> io::Result<Entries> {
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        open_regular(path)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let entries = match read() {
        Ok(bytes) => decode(&bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Entries::new()),
        // Something else lies in its place.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => None,
        Err(error) => return Err(error),
    };
    Ok(entries.unwrap_or_else(|| {
        warn!("{} is unusable, and is created again", path.display());
        Entries::new()
    }))
}

/// What a file with these entries holds.
pub(super) fn encode(entries: &Entries) -> Vec<u8> {
    let mut all: Vec<_> = entries.iter().collect();
    all.sort_unstable();
    let bytes = all.iter().map(|(key, value)| 2 * LENGTH + key.len() + value.len());
    let mut file = Vec::with_capacity(CONTENT + bytes.sum::<usize>());
    file.extend(MAGIC);
    file.extend([0; blake3::OUT_LEN]);
    for bytes in all.into_iter().flat_map(|(key, value)| [key, value]) {
        file.extend((bytes.len() as u64).to_le_bytes());
        file.extend(&**bytes);
    }
    let digest = blake3::hash(&file[CONTENT..]);
    file[MAGIC.len()..CONTENT].copy_from_slice(digest.as_bytes());
    file
}

/// The entries in a file that holds this; `None` if it is damaged.
pub(super) fn decode(file: &[u8]) -> Option<Entries> {
    let (digest, mut rest) = file.strip_prefix(MAGIC)?.split_at_checked(blake3::OUT_LEN)?;
    if blake3::hash(rest).as_bytes() != digest {
        return None;
    }
    let mut entries = Entries::new();
    while !rest.is_empty() {
        let (key, value) = (take(&mut rest)?, take(&mut rest)?);
        entries.insert(key.into(), value.into());
    }
    Some(entries)
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, content) = rest.split_first_chunk()?;
    let len = usize::try_from(u64::from_le_bytes(*len)).ok()?;
    let (bytes, others) = content.split_at_checked(len)?;
    *rest = others;
    Some(bytes)
}

/// Writes a file aside, syncs it and renames it.
///
/// # Errors
/// When it can't be written; what was there before stays.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    if fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()) {
        fs::remove_dir_all(path)?;
    }
    let mut aside = tempfile::NamedTempFile::new_in(folder)?;
    aside.write_all(content)?;
    aside.as_file().sync_all()?;
    aside.persist(path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(dir: &Path) -> Table {
        Table::new(dir.join("table"))
    }

    fn save(table: &mut Table) {
        let unsaved = table.unsaved().unwrap().unwrap();
        replace(table.path(), &unsaved.content).unwrap();
        table.record_saved(&unsaved);
    }

    #[test]
    fn what_is_saved_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = table(dir.path());
        assert!(first.unsaved().unwrap().is_none());
        first.put(b"a", Some(vec![1, 2]));
        first.put(b"b", Some(vec![]));
        first.put(b"c", Some(vec![3]));
        first.put(b"c", None);
        save(&mut first);
        assert!(first.unsaved().unwrap().is_none());
        let mut second = table(dir.path());
        assert_eq!(second.get(b"a").unwrap(), Some(&[1, 2][..]));
        assert_eq!(second.get(b"b").unwrap(), Some(&[][..]));
        assert_eq!(second.get(b"c").unwrap(), None);
        assert!(second.unsaved().unwrap().is_none());
    }

    /// As a change during a write is not in the file.
    #[test]
    fn what_changes_while_it_is_written_is_written_next() {
        let dir = tempfile::tempdir().unwrap();
        let mut table = table(dir.path());
        table.put(b"a", Some(vec![1]));
        let unsaved = table.unsaved().unwrap().unwrap();
        table.put(b"a", Some(vec![2]));
        table.record_saved(&unsaved);
        save(&mut table);
        assert_eq!(self::table(dir.path()).get(b"a").unwrap(), Some(&[2][..]));
    }

    #[test]
    fn a_damaged_file_counts_as_absent_whatever_is_wrong_with_it() {
        let entries = Entries::from([(b"key".as_slice().into(), b"value".as_slice().into())]);
        let file = encode(&entries);
        assert_eq!(decode(&file), Some(entries));
        assert_eq!(decode(b""), None);
        for at in 0..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 1;
            assert_eq!((decode(&damaged), decode(&file[..at])), (None, None), "{at}");
        }
        // Lengths that lie, under a digest that fits.
        for content in [&[7][..], &u64::MAX.to_le_bytes(), &[0; 8]] {
            let file = [MAGIC, blake3::hash(content).as_bytes(), content].concat();
            assert_eq!(decode(&file), None, "{content:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_now_is_kept_and_so_is_what_changes_meanwhile() {
        let dir = tempfile::tempdir().unwrap();
        let mut before = table(dir.path());
        before.put(b"a", Some(vec![1]));
        before.put(b"b", Some(vec![1]));
        save(&mut before);
        let aside = dir.path().with_extension("aside");
        fs::rename(dir.path(), &aside).unwrap();
        fs::write(dir.path(), "no folder").unwrap();

        let mut table = table(dir.path());
        assert!(table.get(b"a").is_err() && table.unsaved().unwrap().is_none());
        table.put(b"b", None);
        table.put(b"c", Some(vec![3]));
        assert!(table.get(b"a").is_err() && table.unsaved().is_err());
        assert_eq!(table.get(b"b").unwrap(), None);
        assert_eq!(table.get(b"c").unwrap(), Some(&[3][..]));

        fs::remove_file(dir.path()).unwrap();
        fs::rename(&aside, dir.path()).unwrap();
        assert_eq!(table.get(b"a").unwrap(), Some(&[1][..]));
        save(&mut table);
        let mut after = self::table(dir.path());
        let keys = ["a", "b", "c"].map(|key| after.get(key.as_bytes()).unwrap().is_some());
        assert_eq!(keys, [true, false, true]);
    }
}
