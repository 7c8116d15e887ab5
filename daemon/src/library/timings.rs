//! How long engines and PyTorch take for the same calls in front ends: `DATA/timings`, described in docs/index.md.

use std::{collections::HashMap, path::Path};

use checkpoint::Id;
use protocol::Timing;
use serde::Deserialize;

use crate::library::kept;

/// What front ends have measured, by engine.
pub(crate) type Timings = HashMap<Id, Vec<Timing>>;

#[derive(Deserialize)]
struct OfEngine {
    engine: Id,
}

#[derive(Deserialize)]
struct TimingsFile {
    timings: Vec<Timing>,
}

/// Reads all timings.
pub(crate) fn read(folder: &Path) -> Timings {
    let files = kept::read(folder);
    files.map(|(OfEngine { engine }, TimingsFile { timings })| (engine, timings)).collect()
}

/// Deletes those of an engine.
pub(crate) fn forget(folder: &Path, engine: &Id) {
    kept::forget(folder, engine);
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    #[test]
    fn the_web_uis_files_are_read_until_they_are_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Id::from(blake3::hash(b"engine"));
        let timing = json!({ "gpu": "a GPU", "driver": "1", "torch": "2.11.0", "tensorrt": "1.7.1.116",
            "compute_capability": "8.9", "front_end": "AUTOMATIC1111, sdp", "width": 512, "height": 768, "batch": 2,
            "tokens": 77, "engine_milliseconds": 8.5, "torch_milliseconds": 17.0, "noise_milliseconds": 0.1,
            "time": 1_795_000_000 });
        let file = json!({ "version": 1, "engine": engine, "timings": [timing] });
        fs::write(folder.path().join(format!("{engine}.json")), file.to_string()).unwrap();
        let timings = read(folder.path());
        let [timing] = &timings[&engine][..] else { panic!("{timings:?}") };
        assert_eq!((timing.gpu.as_str(), timing.width, timing.height), ("a GPU", 512, 768));
        assert_eq!((timing.gain(), timing.is_slower()), (2.0, false));
        forget(folder.path(), &engine);
        assert!(read(folder.path()).is_empty());
    }
}
