//! Where contents may still be that no file is seen to have: at places that can't be looked at now.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

use checkpoint::Id;
use serde::{Deserialize, Serialize};

/// A content at more places than these is known by its folders.
const FILES: usize = 8;

/// Where a content was seen last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "(bool, Vec<u8>)", from = "(bool, Vec<u8>)")]
pub enum Home {
    /// In this file.
    File(PathBuf),
    /// In some file right in this folder.
    Folder(PathBuf),
}

impl From<Home> for (bool, Vec<u8>) {
    // Paths need not be text.
    fn from(home: Home) -> Self {
        let (is_file, path) = match home {
            Home::File(path) => (true, path),
            Home::Folder(path) => (false, path),
        };
        (is_file, path.into_os_string().into_vec())
    }
}

impl From<(bool, Vec<u8>)> for Home {
    fn from((is_file, path): (bool, Vec<u8>)) -> Self {
        let path = OsString::from_vec(path).into();
        if is_file { Self::File(path) } else { Self::Folder(path) }
    }
}

/// Where contents that engines are for were seen last, by UNet and by signature.
pub type Homes = BTreeMap<Id, BTreeSet<Home>>;

/// Places that can't be looked at, and why, in words that go after the place.
pub(crate) type Away = BTreeMap<PathBuf, String>;

/// Where a content may lie that no file is seen to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MayLie {
    /// Anywhere: not every models folder was looked at since the start.
    Unlooked,
    /// In a file that has not been read since the start.
    Unread,
    /// At a place that can't be looked at, and why.
    At { place: PathBuf, why: String },
}

/// What decides whether a content is gone or only away.
#[derive(Debug, Default)]
pub(crate) struct Whereabouts {
    homes: Homes,
    away: Away,
    /// Every models folder was looked at, or given up.
    looked: bool,
    /// What models folders and links in them are without links, where that is another path.
    links: BTreeMap<PathBuf, PathBuf>,
}

impl Whereabouts {
    /// What an earlier life knew.
    pub(super) fn new(homes: Homes) -> Self {
        Self { homes, ..Self::default() }
    }

    /// Where this content, which no file is seen to have, may lie all the same.
    pub(crate) fn may_lie(&self, content: &Id) -> Option<MayLie> {
        if !self.looked {
            return Some(MayLie::Unlooked);
        }
        let place = match self.homes.get(content) {
            Some(homes) => homes.iter().find_map(|home| self.cover(home)),
            // It may have been anywhere.
            None => self.away.first_key_value(),
        };
        place.map(|(place, why)| MayLie::At { place: place.clone(), why: why.clone() })
    }

    /// The place that can't be looked at and that `home` is at.
    fn cover(&self, home: &Home) -> Option<(&PathBuf, &String)> {
        match home {
            Home::File(path) => self.around(path),
            Home::Folder(folder) => {
                let below = self.away.range::<Path, _>((
                    std::ops::Bound::Excluded(folder.as_path()),
                    std::ops::Bound::Unbounded,
                ));
                let mut below = below.take_while(|(place, _)| place.starts_with(folder));
                let right_in_it = |(place, _): &(&PathBuf, &String)| {
                    place.parent() == Some(folder) && checkpoint::is_checkpoint_name(place)
                };
                self.around(folder).or_else(|| below.find(right_in_it))
            }
        }
    }

    fn around(&self, path: &Path) -> Option<(&PathBuf, &String)> {
        path.ancestors().find_map(|place| self.away.get_key_value(place))
    }

    /// What models folders and links in them are without links.
    pub(super) fn record_links(&mut self, links: BTreeMap<PathBuf, PathBuf>) {
        self.links = links;
    }

    /// The path of a checkpoint without links, where that is another. Nothing is looked at.
    pub(crate) fn real(&self, path: &Path) -> Option<PathBuf> {
        let (link, real) = path.ancestors().find_map(|link| self.links.get_key_value(link))?;
        let below = path.strip_prefix(link).ok()?;
        Some(if below.as_os_str().is_empty() { real.clone() } else { real.join(below) })
    }

    /// These places, and no others, can't be looked at; `looked` tells whether all others were.
    pub(super) fn record_away(&mut self, away: Away, looked: bool) {
        (self.away, self.looked) = (away, looked);
    }

    /// These contents are those that engines are for, with all paths at which each is seen. With `all_known`
    /// what is not seen at a place that can be looked at is not there any more. Whether something changes.
    pub(super) fn record_seen(&mut self, seen: BTreeMap<Id, Vec<&Path>>, all_known: bool) -> bool {
        let mut homes = Homes::new();
        for (content, paths) in seen {
            let mut now = homes_at(&paths);
            match self.homes.get(&content) {
                Some(before) => {
                    let stays =
                        before.iter().filter(|home| !all_known || self.cover(home).is_some());
                    now.extend(stays.cloned());
                }
                // Where else it may be is not known yet.
                None if now.is_empty() && !(all_known && self.away.is_empty()) => continue,
                None => {}
            }
            homes.insert(content, now);
        }
        let have_changed = homes != self.homes;
        self.homes = homes;
        have_changed
    }

    pub(super) fn homes(&self) -> &Homes {
        &self.homes
    }
}

fn homes_at(paths: &[&Path]) -> BTreeSet<Home> {
    if paths.len() <= FILES {
        return paths.iter().map(|path| Home::File(path.to_path_buf())).collect();
    }
    let folders: BTreeSet<&Path> = paths.iter().filter_map(|path| path.parent()).collect();
    folders.into_iter().map(|folder| Home::Folder(folder.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> Id {
        Id::from([1; 32])
    }

    fn away(places: &[&str]) -> Away {
        places.iter().map(|place| (place.into(), "is not mounted".to_owned())).collect()
    }

    /// What was seen at these places, once nothing is there and those in `away` can't be looked at.
    fn is_away(seen: &[&str], places: &[&str]) -> bool {
        let mut whereabouts = Whereabouts::default();
        whereabouts.record_away(Away::new(), true);
        let paths = seen.iter().map(Path::new).collect();
        whereabouts.record_seen([(id(), paths)].into(), true);
        whereabouts.record_away(away(places), true);
        whereabouts.record_seen([(id(), Vec::new())].into(), true);
        whereabouts.may_lie(&id()).is_some()
    }

    #[test]
    fn what_is_gone_is_told_from_what_is_away_place_by_place() {
        let many: Vec<String> = (0..20).map(|n| format!("/m/sub/{n}.safetensors")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let one = ["/m/sub/a.safetensors"];
        for (what, seen, places, expected) in [
            ("deleted", &one[..], &[][..], false),
            ("the models folder is away", &one, &["/m"], true),
            ("its folder is", &one, &["/m/sub"], true),
            ("another is", &one, &["/m/lost+found", "/m/su", "/n"], false),
            ("one below its folder is", &one, &["/m/sub/lost+found"], false),
            ("its link leads to a disk that is away", &one, &["/m/sub/a.safetensors"], true),
            ("another link does", &one, &["/m/sub/b.safetensors"], false),
            ("many, deleted", &many, &[], false),
            ("many, their folder is away", &many, &["/m/sub"], true),
            ("many, a folder below is", &many, &["/m/sub/lost+found"], false),
            (
                "many, a link among them is",
                &many,
                &["/m/sub/lost+found", "/m/sub/x.safetensors"],
                true,
            ),
            ("two places, one away", &["/m/a.ckpt", "/n/a.ckpt"], &["/n"], true),
        ] {
            assert_eq!(is_away(seen, places), expected, "{what}");
        }
    }

    #[test]
    fn what_was_deleted_before_a_disk_went_is_not_on_it() {
        let mut whereabouts = Whereabouts::default();
        let path = Path::new("/m/a.ckpt");
        whereabouts.record_away(Away::new(), true);
        assert!(whereabouts.record_seen([(id(), vec![path])].into(), true));
        assert!(whereabouts.record_seen([(id(), Vec::new())].into(), true));
        whereabouts.record_away(away(&["/m"]), true);
        whereabouts.record_seen([(id(), Vec::new())].into(), true);
        assert_eq!(whereabouts.may_lie(&id()), None);
    }

    #[test]
    fn as_long_as_not_all_is_known_nothing_is_gone() {
        let mut whereabouts = Whereabouts::default();
        let found = |whereabouts: &Whereabouts| whereabouts.may_lie(&id());
        assert_eq!(found(&whereabouts), Some(MayLie::Unlooked));
        whereabouts.record_away(away(&["/m/x"]), true);
        let there = MayLie::At { place: "/m/x".into(), why: "is not mounted".to_owned() };
        assert_eq!(found(&whereabouts), Some(there), "it may have been anywhere");
        whereabouts.record_seen([(id(), Vec::new())].into(), true);
        assert!(found(&whereabouts).is_some());
        let path = Path::new("/m/x/a.ckpt");
        whereabouts.record_seen([(id(), vec![path])].into(), true);
        // Half of a move was seen.
        whereabouts.record_seen([(id(), Vec::new())].into(), false);
        whereabouts.record_away(away(&["/m/x"]), true);
        assert!(found(&whereabouts).is_some());
        // An earlier life's knowledge serves.
        let mut next = Whereabouts::new(whereabouts.homes().clone());
        next.record_away(away(&["/m/y"]), true);
        assert_eq!(next.may_lie(&id()), None);
        next.record_away(away(&["/m"]), true);
        assert!(next.may_lie(&id()).is_some());
    }

    #[test]
    fn a_path_without_links_is_known_without_a_look() {
        let links = [("/m", "/data/m"), ("/m/link", "/disk/x"), ("/m/a.ckpt", "/cas/12")];
        let links = links.map(|(link, real)| (link.into(), real.into())).into();
        let mut whereabouts = Whereabouts::default();
        whereabouts.record_links(links);
        for (path, real) in [
            ("/m/b.ckpt", Some("/data/m/b.ckpt")),
            ("/m/link/sub/c.ckpt", Some("/disk/x/sub/c.ckpt")),
            ("/m/a.ckpt", Some("/cas/12")),
            ("/n/b.ckpt", None),
        ] {
            let found = whereabouts.real(Path::new(path));
            assert_eq!(found.as_deref(), real.map(Path::new), "{path}");
        }
    }

    #[test]
    fn a_home_is_kept_byte_for_byte() {
        let path: PathBuf = OsString::from_vec(b"/m/\xff".to_vec()).into();
        for home in [Home::File(path.clone()), Home::Folder(path)] {
            let text = serde_json::to_string(&home).unwrap();
            assert_eq!(serde_json::from_str::<Home>(&text).unwrap(), home, "{text}");
        }
    }
}
