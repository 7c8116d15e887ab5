use std::{fs, path::PathBuf};

use serde_json::json;

use crate::Workplace;

impl Workplace {
    /// Puts an engine of the golden SD 1.x checkpoint into the data folder in the form of an earlier release.
    /// `key` is repeated to the length of a key. No daemon may be running.
    pub fn put_engine(&self, key: &str, unet_id: &str, bytes: u64) -> PathBuf {
        let key = key.repeat(64 / key.len());
        let engines = self.data().join("engines");
        fs::create_dir_all(&engines).unwrap();
        let plan = engines.join(format!("{key}.engine"));
        fs::File::create(&plan).unwrap().set_len(bytes).unwrap();
        let manifest = json!({
            "format": 3,
            "key": key,
            "spec": {
                "weights": { "baked": unet_id },
                "architecture": {
                    "kind": "sd1",
                    "in_channels": 4,
                    "context_width": 768,
                    "y_width": null,
                    "heads": { "count": 8 },
                },
                "recipe": 0,
                "flavour": "tensorrt-rtx",
                "version": "1.5.0.0",
                "compute_capabilities": [],
                "precision": "fp16",
                "profiles": [],
            },
            "presets": ["default"],
            "weights_id": unet_id,
            "bytes": bytes,
            "blake3": key,
            "built_at": 1_700_000_000,
            "build_seconds": 1.0,
            "peak_bytes": 1,
            "trials": [],
        });
        fs::write(plan.with_extension("json"), manifest.to_string()).unwrap();
        plan
    }
}
