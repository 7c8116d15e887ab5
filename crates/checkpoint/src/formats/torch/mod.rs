//! torch's files: a pickle that describes the tensors, and their storages.

mod archive;
mod legacy;
mod place;
mod state_dict;

use std::collections::HashMap;

use super::Contents;
use crate::{
    file::Source,
    pickle::{self, Pickle},
    rejection::Rejection,
    view::{Extent, Views},
};
use archive::Archive;
use place::Place;
use state_dict::Found;

/// The largest pickle that is read: some twenty times SDXL's.
const PICKLE_LIMIT: u64 = 8 << 20;

/// Where each storage's bytes are, by its key.
type Storages = HashMap<String, Extent>;

/// Lists the tensors of a zip archive (`torch.save` since 1.6); see [`super::contents`].
pub(super) fn from_archive(file: &Source) -> Result<Contents, Rejection> {
    let archive = Archive::open(file)?;
    let pickle = pickle::read(&archive.pickle)?;
    let mut contents = contents(file, &pickle, &archive.storages)?;
    if archive.may_lack_data && archive.is_all_zeros(file, &contents)? {
        return Err(Rejection::NoData { how: "with torch.serialization.skip_data" });
    }
    contents.refused.by_a1111 = archive.refused_by_a1111.or(contents.refused.by_a1111);
    Ok(contents)
}

/// Lists the tensors of a file of bare pickles (before torch 1.6, and since on demand); see [`super::contents`].
pub(super) fn from_pickles(file: &Source) -> Result<Contents, Rejection> {
    let start = file.bytes(0, file.len().min(legacy::LIMIT) as usize)?;
    let pickle = legacy::pickle(&start, file.len())?;
    let storages = legacy::storages(file, &start, &pickle)?;
    contents(file, &pickle.content, &storages)
}

fn contents(
    file: &Source,
    pickle: &Pickle<'_>,
    storages: &Storages,
) -> Result<Contents, Rejection> {
    let Found { tensors: named, is_alone_under } = state_dict::find(pickle)?;
    let mut contents = Contents { views: Views::of_file(file.len()), ..Contents::default() };
    for (name, tensor) in named {
        let place = Place { pickle, storages, name };
        place.add(tensor, &mut contents)?;
    }
    let mut ranges: Vec<_> = contents.in_place(file.len()).collect();
    ranges.sort_unstable();
    ranges.dedup();
    let total = ranges.iter().fold(0u64, |sum, (_, bytes)| sum.saturating_add(*bytes));
    contents.views.check_work(total, file.len())?;
    let unknown = pickle.unknown_to_a1111.as_ref();
    contents.refused.by_comfyui = pickle.protocol >= 4;
    contents.refused.by_a1111 = is_alone_under
        .map(|key| format!("its tensors are in `{key}`, where it does not look"))
        .or_else(|| unknown.map(|name| format!("its check of torch files does not know {name}")));
    if contents.tensors.is_empty() { Err(Rejection::NoTensors) } else { Ok(contents) }
}
