//! Computes ids from tensors' bytes.
//!
//! Both ids have the same encoding, hashed with BLAKE3. For each tensor, in byte order of the
//! canonical names, with all integers as 64-bit little-endian:
//!
//! 1. length of the name, the name (UTF-8);
//! 2. length of the dtype's name, the dtype's name as in safetensors headers (`F16`);
//! 3. rank, then each dimension, outermost first;
//! 4. the 32-byte BLAKE3 digest of the tensor's bytes.
//!
//! The weights id covers all tensors, the UNet id those under [`UNET_PREFIX`].

use std::{cmp::Reverse, collections::BTreeMap, ops::Range, sync::Mutex};

use rayon::prelude::*;

use crate::{
    encoded::Encoded,
    file::Source,
    id::{Id, Ids},
    rejection::Rejection,
    tensor::{Tensor, UNET_PREFIX},
    view::{Reader, View, Views},
};

/// Tensors in less than this many bytes are read at once and hashed by one thread: waking others takes
/// longer.
const AT_ONCE: u64 = 1 << 20;

/// Bytes per read: they stay in a core's L2 cache between the kernel's copy and the hash.
///
/// Measured on 1.8 GB in the page cache with two threads: 64 KiB is 9 % slower because of system calls and
/// short BLAKE3 runs; 256 KiB to 1 MiB are all as fast as b3sum.
const BUFFER: usize = 256 << 10;

type Digest = [u8; 32];
/// Position and size in the file.
type Stretch = (u64, u64);

/// Reads every tensor once. `tensors` must be sorted by name.
pub(crate) fn ids(file: &Source, views: &Views, tensors: &[&Tensor]) -> Result<Ids, Rejection> {
    let (mut ranges, viewed): (Vec<Stretch>, Vec<Stretch>) = tensors
        .iter()
        .map(|tensor| (tensor.offset, tensor.bytes))
        .partition(|(offset, _)| views.at(*offset).is_none());
    // A torch file can have one tensor under two names: read it only once.
    ranges.sort_unstable_by_key(|&(offset, bytes)| (Reverse(bytes), offset));
    ranges.dedup();
    let start = ranges.iter().map(|(offset, _)| *offset).min().unwrap_or(0);
    let end = ranges.iter().map(|(offset, bytes)| offset + bytes).max().unwrap_or(0);
    let mut digests: Vec<(Stretch, Digest)> = if end - start < AT_ONCE {
        let content = file.bytes(start, (end - start) as usize)?;
        let slice = |(offset, bytes)| &content[(offset - start) as usize..][..bytes as usize];
        ranges.into_iter().map(|range| (range, blake3::hash(slice(range)).into())).collect()
    } else {
        // Largest first, one at a time, so that no thread is left with a large one at the end.
        ranges
            .into_iter()
            .par_bridge()
            .map_init(|| vec![0; BUFFER], |buffer, range| Ok((range, digest(file, range, buffer)?)))
            .collect::<Result<_, Rejection>>()?
    };
    if !viewed.is_empty() {
        digests.extend(of_views(file, views)?);
    }
    digests.sort_unstable_by_key(|(range, _)| *range);
    let digest = |tensor: &Tensor| {
        let range = (tensor.offset, tensor.bytes);
        let found = digests.binary_search_by_key(&range, |(range, _)| *range).ok()?;
        digests.get(found).map(|(_, digest)| digest)
    };
    let mut encoded = Encoded::with_room_for(tensors.len());
    // In byte order of the names, the UNet's tensors follow each other.
    let mut unet: Option<Range<usize>> = None;
    for (tensor, digest) in tensors.iter().filter_map(|tensor| Some((*tensor, digest(tensor)?))) {
        let start = encoded.len();
        encode(&mut encoded, tensor, digest);
        if tensor.name.starts_with(UNET_PREFIX) {
            let start = unet.map_or(start, |unet| unet.start);
            unet = Some(start..encoded.len());
        }
    }
    Ok(Ids { weights: encoded.hash(), unet: encoded.hash_of(unet.unwrap_or_default()) })
}

/// Hashes what does not lie in the file as it is: each thread reads all views of one storage after the other, so
/// that an entry is inflated once, and only one at a time gathers strided elements, so that memory stays bounded.
fn of_views(file: &Source, views: &Views) -> Result<Vec<(Stretch, Digest)>, Rejection> {
    let mut storages: BTreeMap<u64, Vec<(&View, u64)>> = BTreeMap::new();
    for (view, offset) in views.in_order() {
        storages.entry(view.storage()).or_default().push((view, offset));
    }
    let gathering = Mutex::new(());
    let read = |storage: Vec<(&View, u64)>| {
        let mut reader = Reader::new(file);
        let mut digests = Vec::with_capacity(storage.len());
        for (view, offset) in storage {
            let mut hasher = blake3::Hasher::new();
            let _turn = view.is_gathered().then(|| gathering.lock());
            reader.read(view, &mut |part| {
                hasher.update(part);
            })?;
            digests.push(((offset, view.bytes()), hasher.finalize().into()));
        }
        Ok(digests)
    };
    let digests: Result<Vec<_>, Rejection> =
        storages.into_values().par_bridge().map(read).collect();
    Ok(digests?.concat())
}

fn digest(file: &Source, (offset, bytes): Stretch, buffer: &mut [u8]) -> Result<Digest, Rejection> {
    let mut hasher = blake3::Hasher::new();
    let mut done = 0;
    while done < bytes {
        // The range is within the file, so neither the sum nor the cast can overflow.
        let len = (bytes - done).min(buffer.len() as u64);
        let part = &mut buffer[..len as usize];
        file.read(part, offset + done)?;
        hasher.update(part);
        done += len;
    }
    Ok(hasher.finalize().into())
}

/// Computes the UNet id of tensors that the caller has read, each with the BLAKE3 digest of its bytes in the file.
/// They must be sorted by name, and all be the UNet's.
pub fn unet_id<'a>(read: impl ExactSizeIterator<Item = (&'a Tensor, &'a [u8; 32])>) -> Id {
    let mut encoded = Encoded::with_room_for(read.len());
    read.for_each(|(tensor, digest)| encode(&mut encoded, tensor, digest));
    encoded.hash()
}

fn encode(encoded: &mut Encoded, tensor: &Tensor, digest: &Digest) {
    encoded.text(&tensor.name);
    encoded.text(tensor.dtype.name());
    encoded.numbers(&[tensor.shape.len() as u64]);
    encoded.numbers(&tensor.shape);
    encoded.bytes(digest);
}
