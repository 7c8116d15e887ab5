//! torch's zip format: a pickle, and one entry per storage.

use std::borrow::Cow;

use super::{Contents, PICKLE_LIMIT, Storages};
use crate::{
    file::Source,
    formats::zip::{self, Entries, Stored},
    rejection::Rejection,
    tensor::Tensor,
    view::Reader,
};

/// Bytes of each tensor that tell whether there is any data.
const PROBED: u64 = 64;

/// The tensors that are probed.
const PROBES: usize = 64;

pub(super) struct Archive<'a> {
    pub(super) pickle: Cow<'a, [u8]>,
    pub(super) storages: Storages,
    /// Why A1111's own check refuses the archive.
    pub(super) refused_by_a1111: Option<String>,
    /// Whether no storage has a check sum, as where only their sizes were written.
    pub(super) may_lack_data: bool,
}

impl<'a> Archive<'a> {
    pub(super) fn open(file: &'a Source) -> Result<Self, Rejection> {
        let entries = zip::entries(file)?;
        let (folder, pickle) = find_pickle(&entries)?;
        if let Some(order) = entries.get(&format!("{folder}byteorder"))
            && *small(file, order, 6)? != *b"little"
        {
            return Err(Rejection::BigEndian);
        }
        if pickle.extent.bytes > PICKLE_LIMIT {
            return Err(Rejection::PickleTooLarge { what: "bytes", limit: PICKLE_LIMIT });
        }
        let pickle = small(file, &pickle, PICKLE_LIMIT)?;
        let data = format!("{folder}data/");
        let mut storages = Storages::new();
        let mut may_lack_data = true;
        for (name, stored) in &entries {
            if let Some(key) = name.strip_prefix(&data) {
                may_lack_data &= stored.crc == 0;
                storages.insert(key.to_owned(), stored.extent);
            }
        }
        let mut refused: Vec<_> = entries.keys().filter(|name| !is_known_to_a1111(name)).collect();
        refused.sort_unstable();
        let refused_by_a1111 = refused.first().map(|name| {
            let since =
                if name.ends_with("/.format_version") || name.ends_with("/.storage_alignment") {
                    ", which torch writes since 2.7"
                } else {
                    ""
                };
            let name: String = name.chars().take(200).collect();
            format!("its check of torch files does not know the entry {name}{since}")
        });
        Ok(Self { pickle, storages, refused_by_a1111, may_lack_data })
    }

    /// Whether none of a sample of the tensors holds anything but zeros.
    pub(super) fn is_all_zeros(
        &self,
        file: &Source,
        contents: &Contents,
    ) -> Result<bool, Rejection> {
        let filled: Vec<&Tensor> =
            contents.tensors.iter().filter(|tensor| tensor.bytes > 0).collect();
        let step = filled.len().div_ceil(PROBES).max(1);
        let mut reader = Reader::new(file);
        for tensor in filled.iter().step_by(step) {
            // A view of nothing but zeros shows in its storage.
            let extent = self.storages.values().find(|extent| extent.start == tensor.offset);
            let Some(extent) = extent.filter(|extent| extent.packed.is_none()) else {
                return Ok(false);
            };
            let mut probe = vec![0; tensor.bytes.min(PROBED) as usize];
            reader.fill(extent, 0, &mut probe)?;
            if probe.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
        }
        Ok(!filled.is_empty())
    }
}

/// Reads a small entry, of which at most `limit` bytes count.
fn small<'a>(file: &'a Source, entry: &Stored, limit: u64) -> Result<Cow<'a, [u8]>, Rejection> {
    let len = entry.extent.bytes.min(limit) as usize;
    if entry.extent.packed.is_none() {
        return file.bytes(entry.extent.start, len);
    }
    let mut bytes = vec![0; len];
    Reader::new(file).fill(&entry.extent, 0, &mut bytes)?;
    Ok(bytes.into())
}

/// Returns the folder that contains everything, with its slash, and the pickle.
fn find_pickle(entries: &Entries) -> Result<(&str, Stored), Rejection> {
    let mut found = entries.iter().filter_map(|(name, stored)| {
        let folder = name.strip_suffix("data.pkl")?;
        let top = folder.is_empty() || folder.find('/') == Some(folder.len() - 1);
        top.then_some((folder, *stored))
    });
    match (found.next(), found.next()) {
        (Some(pickle), None) => Ok(pickle),
        (None, _) => Err(Rejection::NotACheckpoint),
        _ => Err(Rejection::BadZip { reason: "it holds two data.pkl".into() }),
    }
}

/// Whether A1111 1.10's own check allows an entry of this name: `allowed_zip_names_re` of `modules/safe.py`.
fn is_known_to_a1111(name: &str) -> bool {
    let Some((folder, rest)) = name.split_once('/') else { return false };
    let number = rest.strip_prefix("data/").unwrap_or_default();
    let is_storage = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    // Its pattern has any character before `data/serialization_id`.
    let rest = rest.strip_suffix("data/serialization_id").map_or(rest, |_| "serialization_id");
    let others = ["version", "byteorder", "data.pkl", "serialization_id"];
    !folder.is_empty() && (is_storage || others.contains(&rest))
}
