//! Torch files whose tensors do not lie in them as they are.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Result;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::manifest::{Manifest, TensorSpec};
use crate::pickle::{Node, arguments, call, pickle, storage, text};

impl Manifest {
    /// Generates the checkpoint as a deflated torch file of its transposed weights, negated lazily: the values are
    /// those of [`write_checkpoint`](Self::write_checkpoint).
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn write_lazy(&self, path: impl AsRef<Path>) -> Result<()> {
        let dtype = self.dtype.name();
        let items = self.tensors.iter().enumerate().map(|(number, TensorSpec(name, shape))| {
            let shape: Vec<u64> = shape.iter().map(|size| *size as u64).collect();
            let strides: Vec<u64> = (0..shape.len()).map(|n| shape[..n].iter().product()).collect();
            let storage = storage(dtype, &number.to_string(), shape.iter().product());
            let mut arguments = arguments(storage, 0, &shape, &strides);
            arguments.push(Node::Dict(vec![(text("neg"), Node::Bool(true))]));
            (text(name), call("torch._utils", "_rebuild_tensor_v2", arguments))
        });
        let pickle = pickle(&Node::Dict(items.collect()));
        let mut archive = ZipWriter::new(BufWriter::new(File::create(path)?));
        let deflated = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        archive.start_file("archive/data.pkl", deflated)?;
        archive.write_all(&pickle)?;
        for (number, tensor) in self.tensors.iter().enumerate() {
            archive.start_file(format!("archive/data/{number}"), deflated)?;
            archive.write_all(&self.transposed_and_negated(tensor))?;
        }
        archive.finish()?.flush()?;
        Ok(())
    }

    fn transposed_and_negated(&self, tensor: &TensorSpec) -> Vec<u8> {
        let (bytes, size) = (self.bytes(tensor), self.dtype.size());
        let mut moved = vec![0; bytes.len()];
        for (number, element) in bytes.chunks(size).enumerate() {
            let (mut rest, mut at, mut outer) = (number, 0, 1);
            for (index, length) in tensor.1.iter().enumerate() {
                let inner: usize = tensor.1[index + 1..].iter().product();
                at += rest / inner * outer;
                rest %= inner;
                outer *= length;
            }
            let place = &mut moved[at * size..(at + 1) * size];
            place.copy_from_slice(element);
            if let Some(sign) = place.last_mut() {
                *sign ^= 0x80;
            }
        }
        moved
    }
}
