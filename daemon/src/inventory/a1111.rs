//! The SHA-256 of checkpoints as A1111 has computed them, in its own cache.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
};

use checkpoint::{Plain, Stamp, plain_dict};
use config::WebUi;
use engine::read_regular;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use tracing::debug;

/// How far above a models folder a web UI may begin: `models/Stable-diffusion` is two below.
const ABOVE: usize = 4;

/// What the caches of A1111 since 1.8, by diskcache, and before are called.
const DATABASE: &str = "cache/hashes/cache.db";
const OLDER: &str = "cache.json";

/// No cache is larger.
const LONGEST: u64 = 64 << 20;

/// What A1111 writes before the path of a checkpoint below its models folder.
const CHECKPOINT: &str = "checkpoint/";

/// Half of the smallest difference between two times in seconds since 1970 in 64 bits is 0.1 µs; Python and this add
/// seconds and nanoseconds in other ways.
const SAME_TIME_S: f64 = 1e-6;

/// What A1111 knows of files, by their paths.
#[derive(Debug, Default)]
pub struct A1111Hashes(HashMap<PathBuf, Cached>);

/// What a cache says of a file.
#[derive(Clone, Debug, PartialEq)]
struct Cached {
    /// The file's time then, in seconds since 1970.
    mtime_s: f64,
    sha256: String,
}

impl A1111Hashes {
    /// Reads the caches of the web UIs around these models folders; what can't be read says nothing. A web UI that
    /// `webuis` names has its cache beside one of its folders, and its checkpoints in any of them.
    pub fn read(dirs: &[PathBuf], webuis: &[WebUi]) -> Self {
        let mut hashes = HashMap::new();
        let roots: BTreeSet<&Path> =
            dirs.iter().flat_map(|dir| dir.ancestors().take(ABOVE)).collect();
        for root in roots {
            let told =
                of_json(&root.join(OLDER)).into_iter().chain(of_database(&root.join(DATABASE)));
            let is_its = |dir: &&PathBuf| dir.starts_with(root) || share(webuis, dir, root);
            for (title, told) in told {
                let Some(below) = title.strip_prefix(CHECKPOINT) else { continue };
                let inside = dirs.iter().filter(is_its);
                hashes.extend(inside.map(|dir| (dir.join(below), told.clone())));
            }
        }
        Self(hashes)
    }

    /// The SHA-256 of a file, in lower-case hex, unless it has changed since.
    pub fn of(&self, path: &Path, stamp: &Stamp) -> Option<&str> {
        let told = self.0.get(path)?;
        let mtime_s = stamp.mtime_ns as f64 / 1e9;
        ((told.mtime_s - mtime_s).abs() < SAME_TIME_S).then_some(told.sha256.as_str())
    }
}

/// Whether a web UI has the models folder `dir`, and another one below `root`.
fn share(webuis: &[WebUi], dir: &Path, root: &Path) -> bool {
    webuis.iter().map(|webui| &webui.models_dirs).any(|dirs| {
        dirs.iter().any(|its| its == dir) && dirs.iter().any(|its| its.starts_with(root))
    })
}

fn of_json(file: &Path) -> Vec<(String, Cached)> {
    let read =
        || -> Option<Value> { serde_json::from_slice(&read_regular(file, LONGEST).ok()?).ok() };
    let Some(Value::Object(entries)) =
        read().and_then(|mut cache| Some(cache.get_mut("hashes")?.take()))
    else {
        return Vec::new();
    };
    let told = entries.into_iter().filter_map(|(title, entry)| {
        let told = told(entry.get("mtime")?.as_f64()?, entry.get("sha256")?.as_str()?)?;
        Some((title, told))
    });
    told.collect()
}

/// Reads a copy: A1111 may be writing, and to read the database itself would make files beside it.
fn of_database(file: &Path) -> Vec<(String, Cached)> {
    let is_there = fs::metadata(file).is_ok_and(|found| found.is_file() && found.len() <= LONGEST);
    if !is_there {
        return Vec::new();
    }
    let read = || -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        let copy = tempfile::tempdir()?;
        for ending in ["", "-wal"] {
            let name = |path: &Path| PathBuf::from(format!("{}{ending}", path.display()));
            let copied = fs::copy(name(file), copy.path().join(format!("cache.db{ending}")));
            if ending.is_empty() {
                copied?;
            }
        }
        let database = Connection::open_with_flags(
            copy.path().join("cache.db"),
            OpenFlags::SQLITE_OPEN_READ_WRITE,
        )?;
        let mut rows = database.prepare(
            "SELECT key, value FROM Cache WHERE raw = 1 AND mode = 4 AND value IS NOT NULL",
        )?;
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.filter_map(Result::ok).collect())
    };
    let rows = read().unwrap_or_else(|error| {
        debug!("{}: {error:#}", file.display());
        Vec::new()
    });
    let told = rows.into_iter().filter_map(|(title, pickled)| {
        let entry: HashMap<String, Plain> = plain_dict(&pickled)?.into_iter().collect();
        let (Plain::Number(mtime_s), Plain::Text(sha256)) =
            (entry.get("mtime")?, entry.get("sha256")?)
        else {
            return None;
        };
        Some((title, told(*mtime_s, sha256)?))
    });
    told.collect()
}

fn told(mtime_s: f64, sha256: &str) -> Option<Cached> {
    let is_hash = sha256.len() == 64 && sha256.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_hash.then(|| Cached { mtime_s, sha256: sha256.to_ascii_lowercase() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "6ce0161689b3853acaa03779ec93eafe75a02f4ced659bee03f50797806fa2fa";

    /// `pickle.dumps({"mtime": 1700000000.25, "sha256": SHA}, 5)` of Python 3.12.
    fn pickled() -> Vec<u8> {
        let mut bytes = b"\x80\x05\x95\x62\0\0\0\0\0\0\0}\x94(\x8c\x05mtime\x94GA\xd9T\xfc@\x10\0\0\x8c\x06sha256\x94\x8c\x40".to_vec();
        bytes.extend(SHA.as_bytes());
        bytes.extend(b"\x94u.");
        bytes
    }

    fn webui() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let models = folder.path().join("webui/models/Stable-diffusion");
        fs::create_dir_all(&models).unwrap();
        (folder, models)
    }

    fn stamp(mtime_ns: i128) -> Stamp {
        Stamp { mtime_ns, ..Stamp::default() }
    }

    #[test]
    fn both_forms_of_the_cache_are_read() {
        const NAME: &str = "checkpoint/sub/photo.safetensors";
        for form in ["json", "database"] {
            let (folder, models) = webui();
            let root = folder.path().join("webui");
            if form == "json" {
                let cache = format!(
                    r#"{{"hashes": {{"{NAME}": {{"mtime": 1700000000.25, "sha256": "{SHA}"}}, "lora/x": 5,
                    "checkpoint/y": {{"mtime": 1, "sha256": null}}}}, "safetensors-metadata": {{}}}}"#
                );
                fs::write(root.join(OLDER), cache).unwrap();
            } else {
                fs::create_dir_all(root.join("cache/hashes")).unwrap();
                let database = Connection::open(root.join(DATABASE)).unwrap();
                // As diskcache 5.6 makes it.
                database
                    .execute_batch(
                        "PRAGMA journal_mode = wal; CREATE TABLE Cache (rowid INTEGER PRIMARY KEY, key BLOB, \
                         raw INTEGER, store_time REAL, expire_time REAL, access_time REAL, access_count INTEGER DEFAULT \
                         0, tag BLOB, size INTEGER DEFAULT 0, mode INTEGER DEFAULT 0, filename TEXT, value BLOB)",
                    )
                    .unwrap();
                let insert = "INSERT INTO Cache (key, raw, mode, value) VALUES (?, 1, 4, ?)";
                database.execute(insert, (NAME, pickled())).unwrap();
                // It stays open, so that the last rows are in the log beside it.
                let hashes = A1111Hashes::read(std::slice::from_ref(&models), &[]);
                check(&hashes, &models);
                continue;
            }
            check(&A1111Hashes::read(std::slice::from_ref(&models), &[]), &models);
        }
    }

    fn check(hashes: &A1111Hashes, models: &Path) {
        let path = models.join("sub/photo.safetensors");
        assert_eq!(hashes.of(&path, &stamp(1_700_000_000_250_000_000)), Some(SHA));
        assert_eq!(
            hashes.of(&path, &stamp(1_700_000_000_260_000_000)),
            None,
            "it has changed since"
        );
        assert_eq!(
            hashes.of(&models.join("photo.safetensors"), &stamp(1_700_000_000_250_000_000)),
            None
        );
    }

    /// With `--data-dir` and `--ckpt-dir` the cache lies beside one of its folders alone.
    #[test]
    fn a_web_ui_knows_its_checkpoints_in_every_folder_of_its_own() {
        const CACHE: &str = r#"{"hashes": {"checkpoint/sub/photo.safetensors": {"mtime": 1700000000.25, "sha256": "SHA"}}}"#;
        let (folder, models) = webui();
        fs::write(folder.path().join("webui").join(OLDER), CACHE.replace("SHA", SHA)).unwrap();
        let [elsewhere, others] =
            ["ckpt", "others"].map(|name| folder.path().join("x/y/z").join(name));
        let dirs = [models.clone(), elsewhere.clone(), others.clone()];
        let webui = |dirs: &[&PathBuf]| WebUi {
            path: "/webui".into(),
            models_dirs: dirs.iter().map(|dir| (*dir).clone()).collect(),
        };
        let hashes = A1111Hashes::read(&dirs, &[webui(&[&models, &elsewhere]), webui(&[&others])]);
        check(&hashes, &models);
        check(&hashes, &elsewhere);
        let path = others.join("sub/photo.safetensors");
        assert_eq!(hashes.of(&path, &stamp(1_700_000_000_250_000_000)), None);
    }

    #[test]
    fn what_is_no_cache_says_nothing() {
        let (folder, models) = webui();
        let root = folder.path().join("webui");
        assert!(A1111Hashes::read(std::slice::from_ref(&models), &[]).0.is_empty());
        fs::write(root.join(OLDER), "[]").unwrap();
        fs::create_dir_all(root.join("cache/hashes")).unwrap();
        fs::write(root.join(DATABASE), "no database").unwrap();
        assert!(A1111Hashes::read(&[models], &[]).0.is_empty());
    }
}
