use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashSet},
};

use checkpoint::{Id, Kind};
use config::Family;
use engine::{copies, family};
use protocol::Shape;
use serde::{Deserialize, Serialize};

/// The most shapes remembered per signature: more than anyone gets engines for.
const SHAPES: usize = 64;

/// The most signatures with remembered shapes.
const SIGNATURES: usize = 256;

/// Common image sizes with SD 1.x and 2.x.
const SD: [(u64, u64); 4] = [(512, 512), (512, 768), (768, 512), (768, 768)];

/// Common image sizes with SDXL.
const SDXL: [(u64, u64); 5] = [(1024, 1024), (1152, 896), (896, 1152), (1216, 832), (832, 1216)];

/// The shapes that front ends request, and when each was last used, in seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InUse(Vec<(Shape, u64)>);

impl InUse {
    /// Records that these are used at `now`.
    pub fn note(&mut self, shapes: &[Shape], now: u64) {
        self.0.retain(|(known, _)| !shapes.contains(known));
        self.0.extend(shapes.iter().map(|shape| (*shape, now)));
        self.0.sort_by_key(|(shape, used)| (Reverse(*used), *shape));
        self.0.dedup_by_key(|(shape, _)| *shape);
        self.0.truncate(SHAPES);
    }

    /// When any of them was last used.
    pub fn last_used(&self) -> u64 {
        self.0.first().map_or(0, |(_, used)| *used)
    }

    /// Returns the `limit` shapes that get engines of their own: the most recently used, then `usual` ones.
    /// The order does not depend on the order of use.
    pub fn chosen(&self, usual: &[Shape], limit: usize) -> Vec<Shape> {
        let mut chosen: Vec<Shape> = self.0.iter().map(|(shape, _)| *shape).take(limit).collect();
        chosen.sort_unstable();
        let others = usual.iter().filter(|shape| !self.0.iter().any(|(known, _)| known == *shape));
        let left = limit - chosen.len();
        chosen.extend(others.take(left));
        chosen
    }
}

/// Removes the least recently used signatures if there are too many, and returns them.
pub fn forget_old(all: &mut BTreeMap<Id, InUse>) -> Vec<Id> {
    let mut signatures: Vec<Id> = all.keys().copied().collect();
    signatures.sort_by_key(|signature| Reverse(all.get(signature).map_or(0, InUse::last_used)));
    let old = signatures.split_off(SIGNATURES.min(signatures.len()));
    let forgotten: HashSet<&Id> = old.iter().collect();
    all.retain(|signature, _| !forgotten.contains(signature));
    old
}

/// The usual shapes for models of this kind: one image, with prompt and negative prompt.
pub fn usual(kind: Kind) -> Vec<Shape> {
    let sizes = match family(kind) {
        Family::Sd => &SD[..],
        Family::Sdxl => &SDXL,
    };
    let shape = |(width, height): &(u64, u64)| Shape {
        width: *width,
        height: *height,
        batch: copies(kind),
    };
    sizes.iter().map(shape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(width: u64) -> Shape {
        Shape { width, height: 512, batch: 2 }
    }

    #[test]
    fn the_most_recently_used_are_chosen_before_usual_ones() {
        let usual = [shape(512), shape(768)];
        let mut in_use = InUse::default();
        for (used, now, limit, chosen) in [
            (&[][..], 0, 12, &[512, 768][..]),
            (&[], 0, 1, &[512]),
            (&[], 0, 0, &[]),
            (&[640], 1, 12, &[640, 512, 768]),
            (&[640, 896], 2, 3, &[640, 896, 512]),
            (&[768], 3, 3, &[640, 768, 896]),
            (&[1024, 1024], 4, 3, &[640, 768, 1024]),
            (&[896], 5, 3, &[768, 896, 1024]),
            (&[], 6, 12, &[640, 768, 896, 1024, 512]),
        ] {
            in_use.note(&used.iter().map(|width| shape(*width)).collect::<Vec<_>>(), now);
            let expected: Vec<_> = chosen.iter().map(|width| shape(*width)).collect();
            assert_eq!(in_use.chosen(&usual, limit), expected, "{used:?} at {now}, {limit}");
        }
        let before = in_use.chosen(&usual, 12);
        in_use.note(&[shape(1024), shape(640)], 9);
        assert_eq!(in_use.chosen(&usual, 12), before, "the order of use does not matter");
        in_use.note(&(1..=100).map(|n| shape(8 * n)).collect::<Vec<_>>(), 10);
        assert_eq!(
            in_use.chosen(&usual, 200).len(),
            SHAPES + 1,
            "and 768, which is not among them"
        );
    }

    #[test]
    fn each_kind_has_its_usual_shapes() {
        for (kind, number, first) in [
            (Kind::Sd1, 4, Shape { width: 512, height: 512, batch: 2 }),
            (Kind::InstructPix2pix, 4, Shape { width: 512, height: 512, batch: 3 }),
            (Kind::SdxlInpaint, 5, Shape { width: 1024, height: 1024, batch: 2 }),
        ] {
            let usual = usual(kind);
            assert_eq!((usual.len(), usual[0]), (number, first), "{kind}");
            assert!(usual.iter().all(|shape| shape.problem().is_none()));
        }
    }

    #[test]
    fn the_least_recently_used_signatures_are_forgotten() {
        let id = |number: u64| Id::from(blake3::hash(&number.to_le_bytes()));
        let mut all = BTreeMap::new();
        for number in 0..=SIGNATURES as u64 {
            let mut in_use = InUse::default();
            in_use.note(&[shape(512)], number + 1);
            all.insert(id(number), in_use);
        }
        assert_eq!(forget_old(&mut all), [id(0)]);
        assert!(forget_old(&mut all).is_empty() && all.len() == SIGNATURES);
    }
}
