//! Checkpoints that are only names and shapes.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::Result;
use serde_json::{Map, Value, json};

use crate::manifest::{Manifest, TensorSpec};

impl Manifest {
    /// Writes a safetensors file with holes for weights, which read as zeros and take no space: enough to build shared
    /// engines from.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn write_outline(&self, path: &Path) -> Result<()> {
        let mut header = Map::new();
        let mut end = 0;
        for TensorSpec(name, shape) in &self.tensors {
            let start = end;
            end += shape.iter().product::<usize>() * self.dtype.size();
            let tensor = json!({
                "dtype": self.dtype.name(), "shape": shape, "data_offsets": [start, end],
            });
            header.insert(name.clone(), tensor);
        }
        let mut header = Value::from(header).to_string();
        // The weights begin at a multiple of 8.
        header.extend(std::iter::repeat_n(' ', header.len().next_multiple_of(8) - header.len()));
        let mut file = File::create(path)?;
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(header.as_bytes())?;
        Ok(file.set_len((8 + header.len() + end) as u64)?)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use safetensors::SafeTensors;

    use super::*;

    #[test]
    fn it_has_names_and_shapes_and_takes_no_space() {
        let manifest = Manifest::load("sd1").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("outline.safetensors");
        manifest.write_outline(&path).unwrap();
        let bytes = fs::read(&path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(file.len(), manifest.tensors.len());
        for TensorSpec(name, shape) in &manifest.tensors {
            assert_eq!(file.tensor(name).unwrap().shape(), shape, "{name}");
        }
        assert!(fs::metadata(&path).unwrap().blocks() * 512 < bytes.len() as u64);
    }
}
