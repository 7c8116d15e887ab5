//! Writes a checkpoint's file.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Result, bail};
use safetensors::View;
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::generator::{Scale, Stream};
use crate::manifest::{Dtype, Manifest, TensorSpec};
use crate::pickle::{pickle, state_dict};

impl Manifest {
    /// Generates the checkpoint as a torch file if its name ends in `.ckpt`, otherwise as safetensors. Only
    /// one tensor at a time is in memory.
    ///
    /// # Errors
    /// If the file can't be written, or the values do not have the manifest's hash.
    pub fn write_checkpoint(&self, path: impl AsRef<Path>) -> Result<()> {
        if let Some(wanted) = &self.sha256 {
            let found = self.digest();
            if found != *wanted {
                bail!("{}: SHA-256 {found}, expected {wanted}", self.name);
            }
        }
        let path = path.as_ref();
        if path.extension().is_some_and(|extension| extension == "ckpt") {
            return self.write_torch(path);
        }
        let views = self.tensors.iter().map(|tensor| {
            let view = Generated { manifest: self, tensor };
            (tensor.0.as_str(), view)
        });
        // torch-based tools expect this.
        let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        safetensors::serialize_to_file(views, Some(metadata), path)?;
        Ok(())
    }

    /// Writes a zip archive of a pickle and each tensor's bytes.
    fn write_torch(&self, path: &Path) -> Result<()> {
        let shapes: Vec<Vec<u64>> = self
            .tensors
            .iter()
            .map(|tensor| tensor.1.iter().map(|n| *n as u64).collect())
            .collect();
        let dtype = self.dtype.name();
        let named = self
            .tensors
            .iter()
            .zip(&shapes)
            .map(|(tensor, shape)| (tensor.0.as_str(), dtype, &shape[..]));
        let pickle = pickle(&state_dict(named));
        let mut archive = ZipWriter::new(BufWriter::new(File::create(path)?));
        // torch aligns each entry for memory mapping.
        let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        let mut add = |name: &str, bytes: &[u8]| -> Result<()> {
            archive.start_file(format!("archive/{name}"), stored.with_alignment(64))?;
            Ok(archive.write_all(bytes)?)
        };
        add("data.pkl", &pickle)?;
        add("byteorder", b"little")?;
        for (number, tensor) in self.tensors.iter().enumerate() {
            add(&format!("data/{number}"), &self.bytes(tensor))?;
        }
        add("version", b"3\n")?;
        archive.finish()?.flush()?;
        Ok(())
    }

    /// Returns the SHA-256 (hex) of all tensors' bytes in name order.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut tensors: Vec<_> = self.tensors.iter().collect();
        tensors.sort_by(|a, b| a.0.cmp(&b.0));
        let mut hasher = Sha256::new();
        for tensor in tensors {
            hasher.update(self.bytes(tensor));
        }
        let digest = hasher.finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Returns one tensor's bytes as in the file.
    pub(crate) fn bytes(&self, TensorSpec(name, shape): &TensorSpec) -> Vec<u8> {
        let scale = Scale::weight(name, shape).times(self.factor(name));
        Stream::new(self.seed, name).bytes(shape.iter().product(), scale, self.dtype)
    }
}

/// A tensor whose bytes are generated on demand.
struct Generated<'a> {
    manifest: &'a Manifest,
    tensor: &'a TensorSpec,
}

impl View for Generated<'_> {
    fn dtype(&self) -> safetensors::Dtype {
        match self.manifest.dtype {
            Dtype::F16 => safetensors::Dtype::F16,
            Dtype::Bf16 => safetensors::Dtype::BF16,
            Dtype::F32 => safetensors::Dtype::F32,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.tensor.1
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.manifest.bytes(self.tensor))
    }

    fn data_len(&self) -> usize {
        self.tensor.1.iter().product::<usize>() * self.manifest.dtype.size()
    }
}
