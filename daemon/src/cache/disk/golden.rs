//! The stored form, byte for byte: the next release, and an older one after a downgrade, must read it.

use checkpoint::{Architecture, Excerpt, FileSystem, Heads, Identity, Ids, Kind, Remark};
use protocol::Shape;

use super::*;
use crate::{
    cache::table::{Entries, decode, encode},
    inventory::{Home, Outcome},
};

/// A line for each entry: file, key and value, of an excerpt without a key; `#` precedes hex for bytes that are not text.
const GOLDEN: &str = include_str!("learned.txt");

/// Where all files lay.
const AT: &str = "/m/a";

/// Everything that a store can hold, with every enum in every variant.
struct Learned {
    known: Vec<(Stamp, Known)>,
    excerpt: Excerpt,
    setbacks: HashMap<Id, Setback>,
    parameters: Vec<Parameter>,
    shapes: InUse,
    history: Vec<Finished>,
    disks: BTreeMap<PathBuf, MountedDisk>,
    homes: Homes,
}

fn id(byte: u8) -> Id {
    Id::from([byte; 32])
}

fn learned() -> Learned {
    let heads = |kind| if kind == Kind::Sd1 { Heads::Count(8) } else { Heads::Width(64) };
    let identified = Kind::ALL.iter().map(|&kind| {
        let identity = Identity {
            ids: Ids { weights: id(1), unet: id(2) },
            architecture: Architecture {
                kind,
                in_channels: 4,
                context_width: 768,
                y_width: (kind == Kind::Sdxl).then_some(2816),
                heads: heads(kind),
            },
            signature: id(3),
            unet_parameters: 859_520_964,
            remarks: vec![Remark::Pruned],
        };
        Outcome::Identified(identity.into())
    });
    let others = [Outcome::Rejected("a LoRA".into()), Outcome::Unreadable("not allowed".into())];
    let outcomes = identified.into_iter().chain(others).zip(1..);
    let file_system = FileSystem { kind: 0xef53, id: 0xdead_beef, has_driver: true };
    let stamp = |inode| Stamp {
        device: 66_305,
        inode,
        size: 4 << 30,
        mtime_ns: 1_795_000_000_123_456_789,
        changed_ns: 1_795_000_001_000_000_000,
        born_ns: 1_794_000_000_000_000_000,
        file_system,
    };
    let known = |outcome, changed_ns, excerpt| Known {
        outcome,
        changed_ns,
        excerpt,
        is_compared: changed_ns < 0,
    };
    let excerpt: Excerpt =
        serde_json::from_str(r#"{"len":4096,"head":1,"blocks":[[300,2],[70000,3]]}"#).unwrap();
    let key = ExcerptKey::of(&postcard::to_allocvec(&excerpt).unwrap());
    let known_of = |(outcome, inode)| {
        let stamp = stamp(inode);
        (stamp, known(outcome, stamp.changed_ns, Some(key)))
    };
    let mut all: Vec<_> = outcomes.map(known_of).collect();
    let before_1970 = Stamp { inode: u64::MAX, mtime_ns: -1, ..Stamp::default() };
    all.push((before_1970, known(Outcome::Rejected("é".into()), -1, None)));

    let mut shapes = InUse::default();
    shapes.note(&[Shape { width: 512, height: 768, batch: 2 }], 1_795_000_000);
    shapes.note(&[Shape { width: 1024, height: 1024, batch: 1 }], 1_795_000_001);
    let ended = |outcome, bytes, reason: Option<&str>| Finished {
        engine: id(4),
        weights_id: id(1),
        location: "/m/a.safetensors".into(),
        preset: "default".into(),
        outcome,
        reason: reason.map(str::to_owned),
        seconds: 41,
        bytes,
        ended_at: 1_795_000_000,
    };
    use protocol::Outcome::{Abandoned, Built, Failed, Validated};
    Learned {
        known: all,
        excerpt,
        setbacks: [(id(4), Setback::Failed("no room".into())), (id(5), Setback::Removed)].into(),
        parameters: vec![
            Parameter { name: "model.diffusion_model.out.2.bias".into(), shape: vec![4] },
            Parameter {
                name: "model.diffusion_model.out.2.weight".into(),
                shape: vec![4, 320, 3, 3],
            },
        ],
        shapes,
        history: vec![
            ended(Abandoned, None, Some("the GPU is used")),
            ended(Failed, None, Some("no room")),
            ended(Validated, None, None),
            ended(Built, Some(26_214_400), None),
        ],
        disks: [
            ("/m/disk".into(), MountedDisk::named("/")),
            (OsString::from_vec(b"/m/\xff".into()).into(), MountedDisk::named("/models")),
        ]
        .into(),
        homes: [
            (id(2), [Home::File("/m/a.safetensors".into())].into()),
            (id(3), [Home::Folder(OsString::from_vec(b"/m/\xff".into()).into())].into()),
        ]
        .into(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Text as it is, other bytes in hex.
fn shown(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.chars().all(|c| c.is_ascii_graphic() || c == ' ') => text.to_owned(),
        _ => format!("#{}", hex(bytes)),
    }
}

fn bytes(shown: &str) -> Vec<u8> {
    let Some(digits) = shown.strip_prefix('#') else { return shown.as_bytes().to_vec() };
    let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

/// All files below a folder, in order.
fn files(dir: &Path) -> Vec<PathBuf> {
    let files = walkdir::WalkDir::new(dir).sort_by_file_name().into_iter().map(Result::unwrap);
    files.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path).collect()
}

#[test]
fn entries_are_written_as_before() {
    let dir = tempfile::tempdir().unwrap();
    {
        let store = DiskCache::open(dir.path());
        let learned = learned();
        store.keep_excerpt(&learned.excerpt);
        learned.known.iter().for_each(|(stamp, known)| store.remember(AT.as_ref(), stamp, known));
        learned.setbacks.iter().for_each(|(engine, why)| store.set_back(engine, Some(why)));
        store.set_parameters(&id(3), &learned.parameters);
        store.set_shapes(&id(3), Some(&learned.shapes));
        learned.history.iter().rev().for_each(|finished| store.record(finished));
        store.set_disks(&learned.disks);
        store.set_homes(&learned.homes);
        store.set_lived_s(86_400);
        store.set_paused(Some(Paused::default()));
        store.flush().unwrap();
    }
    let mut found = String::new();
    for path in files(dir.path()) {
        let (name, file) = (path.strip_prefix(dir.path()).unwrap(), fs::read(&path).unwrap());
        let entries = match decode(&file) {
            Some(entries) => BTreeMap::from_iter(entries),
            None => [(Box::default(), file.into())].into(),
        };
        for (key, value) in entries {
            let [name, key, value] = [name.as_os_str().as_bytes(), &key, &value].map(shown);
            found += &format!("{name}\t{key}\t{value}\n");
        }
    }
    pinned::assert_text("learned.txt", GOLDEN, &found);
    pinned::assert_variants::<Setback>(GOLDEN, "\"?\"");
}

#[test]
fn entries_of_earlier_releases_are_read() {
    let dir = tempfile::tempdir().unwrap();
    {
        let mut files: BTreeMap<_, Entries> = BTreeMap::new();
        for line in GOLDEN.lines() {
            let [name, key, value] =
                line.split('\t').map(bytes).collect::<Vec<_>>().try_into().unwrap();
            let path = dir.path().join(OsString::from_vec(name));
            files.entry(path).or_default().insert(key.into(), value.into());
        }
        for (path, entries) in files {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            // An excerpt is a file without entries.
            let content = entries.get(&[][..]).map(|excerpt| excerpt.to_vec());
            fs::write(path, content.unwrap_or_else(|| encode(&entries))).unwrap();
        }
    }
    let store = DiskCache::open(dir.path());
    let learned = learned();
    for (stamp, known) in learned.known {
        assert_eq!(store.known(AT.as_ref(), &stamp), Some(known));
    }
    let key = ExcerptKey::of(&postcard::to_allocvec(&learned.excerpt).unwrap());
    assert_eq!(store.excerpt(&key), Some(learned.excerpt));
    assert_eq!(store.setbacks(), learned.setbacks);
    assert_eq!(store.parameters(&id(3)), Some(learned.parameters));
    assert_eq!(store.shapes(), [(id(3), learned.shapes)].into());
    assert_eq!(store.history(), learned.history);
    assert_eq!(store.disks(), learned.disks);
    assert_eq!(store.homes(), learned.homes);
    assert_eq!(store.lived_s(), 86_400);
    assert!(store.paused().is_some());
}
