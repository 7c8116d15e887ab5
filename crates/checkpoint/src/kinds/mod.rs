//! What files are that are no checkpoints of a Stable Diffusion UNet, by their marks: [`addons`], [`unets`], [`mod@models`],
//! [`quantisers`].
//!
//! One pass over the names finds all marks at once, however many kinds there are.

mod addons;
mod models;
mod quantisers;
mod row;
mod unets;

use std::{fmt, iter, sync::LazyLock};

use aho_corasick::AhoCorasick;

use crate::{metadata::HeaderMetadata, tensor::Tensor};

/// What a file may be, with the marks that tell.
///
/// A mark is a part of a tensor's name without the prefixes that programs wrap models in: `^` stands for its start, `$`
/// for its end. HeaderMetadata count as a name too: `#KEY=VALUE`.
#[derive(Debug)]
pub struct OtherKind {
    /// In a sentence, with its article.
    pub name: &'static str,
    /// What its owner can do.
    pub advice: &'static str,
    /// Who says that its marks are its marks.
    pub source: &'static str,
    /// Marks that all occur.
    all: &'static [&'static str],
    /// Marks of which at least one occurs.
    any: &'static [&'static str],
    /// Marks of which every name has one.
    only: &'static [&'static str],
    /// The shape of the tensor with this name.
    shape: Option<(&'static str, ShapeTest)>,
}

/// Whether a shape is a kind's.
type ShapeTest = fn(&[u64]) -> bool;

/// A row to begin with.
const KIND: OtherKind =
    OtherKind { name: "", advice: "", source: "", all: &[], any: &[], only: &[], shape: None };

impl OtherKind {
    /// Whether some of its tensors tell it from a checkpoint's.
    pub(crate) fn is_told_by_part(&self) -> bool {
        let has_marks = !self.all.is_empty() || !self.any.is_empty();
        has_marks && !std::ptr::eq(self, &unets::UNKNOWN) && !self.name.starts_with("IC-Light")
    }
}

impl fmt::Display for OtherKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.name, self.advice)
    }
}

/// Says what the tensors are; `None` if no kind has their marks.
pub(crate) fn what_it_is(
    tensors: &[Tensor],
    metadata: &HeaderMetadata,
) -> Option<&'static OtherKind> {
    static TABLE: LazyLock<Table> =
        LazyLock::new(|| Table::of(addons::KINDS.iter().chain(models()).chain(addons::LAST)));
    TABLE.find(tensors, metadata)
}

/// Says which other model has a UNet with these tensors, whatever else is in its file.
pub(crate) fn model(tensors: &[Tensor]) -> Option<&'static OtherKind> {
    static TABLE: LazyLock<Table> = LazyLock::new(|| Table::of(models()));
    TABLE.find(tensors, &HeaderMetadata::default())
}

fn models() -> impl Iterator<Item = &'static OtherKind> {
    unets::KINDS.iter().chain(models::KINDS).chain(iter::once(&unets::UNKNOWN))
}

/// A UNet that takes no text.
pub(crate) fn no_text() -> &'static OtherKind {
    &unets::NO_TEXT
}

/// Says that these are IC-Light's offsets, which have the names of a UNet that diffusers has saved, before they get a
/// checkpoint's.
pub(crate) fn offsets(tensors: &[Tensor]) -> Option<&'static OtherKind> {
    let stem = tensors.iter().find(|tensor| tensor.name.ends_with("conv_in.weight"))?;
    let is_theirs = stem.shape.get(1) == Some(&12);
    let kind = is_theirs.then(|| what_it_is(tensors, &HeaderMetadata::default())).flatten()?;
    kind.name.starts_with("IC-Light").then_some(kind)
}

/// Says which program packed the weights of these tensors, if any did.
pub(crate) fn quantiser(tensors: &[Tensor]) -> Option<&'static OtherKind> {
    static TABLE: LazyLock<Table> = LazyLock::new(|| Table::of(quantisers::KINDS));
    TABLE.find(tensors, &HeaderMetadata::default())
}

/// The form that a format of ComfyUI's `comfy_quant` packs weights in.
pub(crate) fn format(name: &str) -> &'static OtherKind {
    let known = quantisers::FORMATS.iter().find(|(known, _)| *known == name);
    known.map_or(&quantisers::NEW_FORMAT, |(_, kind)| kind)
}

/// A textual-inversion embedding.
pub(crate) fn embedding() -> &'static OtherKind {
    &addons::EMBEDDING_FILE
}

/// Kinds, and all their marks as one automaton.
struct Table {
    kinds: Vec<&'static OtherKind>,
    /// Sorted.
    marks: Vec<&'static str>,
    automaton: Option<AhoCorasick>,
}

impl Table {
    fn of(kinds: impl IntoIterator<Item = &'static OtherKind>) -> Self {
        let kinds: Vec<_> = kinds.into_iter().collect();
        let of = |kind: &&'static OtherKind| [kind.all, kind.any, kind.only].concat();
        let mut marks: Vec<_> = kinds.iter().flat_map(of).collect();
        marks.sort_unstable();
        marks.dedup();
        let automaton = AhoCorasick::new(marks.iter().map(|mark| mark.replace(['^', '$'], "\n")));
        // A few hundred short texts always make one.
        Self { kinds, marks, automaton: automaton.ok() }
    }

    fn find(&self, tensors: &[Tensor], metadata: &HeaderMetadata) -> Option<&'static OtherKind> {
        let automaton = self.automaton.as_ref().filter(|_| !tensors.is_empty())?;
        let mut seen = vec![false; self.marks.len()];
        let mut only: Vec<_> = self.kinds.iter().filter(|kind| !kind.only.is_empty()).collect();
        let (mut name, mut here) = (String::new(), Vec::new());
        let names = tensors.iter().map(|tensor| bare(&tensor.name));
        for text in names {
            name.clear();
            name.extend(["\n", text, "\n"]);
            here.clear();
            for found in automaton.find_overlapping_iter(&name) {
                seen[found.pattern().as_usize()] = true;
                here.push(self.marks[found.pattern().as_usize()]);
            }
            only.retain(|kind| here.iter().any(|mark| kind.only.contains(mark)));
        }
        for entry in metadata.lines() {
            for found in automaton.find_overlapping_iter(&entry) {
                seen[found.pattern().as_usize()] = true;
            }
        }
        let has = |mark: &&str| self.marks.binary_search(mark).is_ok_and(|index| seen[index]);
        let fits = |kind: &&'static OtherKind| {
            let is_only =
                kind.only.is_empty() || only.iter().any(|left| std::ptr::eq(**left, *kind));
            is_only
                && kind.all.iter().all(has)
                && (kind.any.is_empty() || kind.any.iter().any(has))
                && kind.shape.is_none_or(|(name, fits)| {
                    tensors.iter().any(|tensor| bare(&tensor.name) == name && fits(&tensor.shape))
                })
        };
        self.kinds.iter().copied().find(fits)
    }
}

/// The prefixes that programs wrap models in.
const WRAPPERS: [&str; 9] = [
    "model.",
    "diffusion_model.",
    "transformer.",
    "unet.",
    "net.",
    "base_model.",
    "module.",
    "_orig_mod.",
    "state_dict.",
];

/// The name as the model's own code has it.
pub(crate) fn bare(name: &str) -> &str {
    split(name).1
}

/// What programs have put before a name, and the name.
pub(crate) fn split(name: &str) -> (&str, &str) {
    let mut bare = name;
    while let Some(rest) = WRAPPERS.iter().find_map(|wrapper| bare.strip_prefix(wrapper)) {
        bare = rest;
    }
    name.split_at(name.len() - bare.len())
}

#[cfg(test)]
mod tests;
