//! What is mounted where.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

/// The kernel's list, which can be waited on.
pub(super) const MOUNTINFO: &str = "/proc/self/mountinfo";

/// One line of the kernel's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    id: u64,
    device: Vec<u8>,
    /// The folder of the file system that shows at `point`.
    pub(super) root: PathBuf,
    point: PathBuf,
}

/// All mounts that this process sees, the later ones over the earlier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MountTable(Vec<Mount>);

impl MountTable {
    /// As it is now; empty where the kernel does not say.
    pub(super) fn read() -> Self {
        fs::read(MOUNTINFO).map(|text| Self::parse(&text)).unwrap_or_default()
    }

    /// Not with `procfs`, which refuses the whole list for one mount point that is not UTF-8, and leaves
    /// escapes as they are. A line that is not understood is left out.
    fn parse(text: &[u8]) -> Self {
        Self(text.split(|byte| *byte == b'\n').filter_map(mount).collect())
    }

    pub(super) fn by_id(&self, id: u64) -> Option<&Mount> {
        self.0.iter().find(|mount| mount.id == id)
    }

    /// Where something else is mounted than `before`, or nothing any more.
    pub(super) fn changed_since(&self, before: &Self) -> BTreeSet<PathBuf> {
        let (before, now) = (before.by_point(), self.by_point());
        let points = before.keys().chain(now.keys());
        let changed = points.filter(|point| before.get(*point) != now.get(*point));
        changed.map(|point| point.to_path_buf()).collect()
    }

    fn by_point(&self) -> BTreeMap<&Path, Vec<&Mount>> {
        let mut points: BTreeMap<&Path, Vec<&Mount>> = BTreeMap::new();
        for mount in &self.0 {
            points.entry(&mount.point).or_default().push(mount);
        }
        points
    }
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw`, as proc(5) has it.
fn mount(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let id = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let device = fields.nth(1)?.to_vec();
    let [root, point] = [fields.next()?, fields.next()?].map(unescaped);
    Some(Mount { id, device, root, point })
}

/// Blanks, line ends and backslashes stand as three octal digits after a backslash.
fn unescaped(field: &[u8]) -> PathBuf {
    let mut path = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, after @ ..] = rest {
        let octal = match rest {
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
                Some((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'))
            }
            _ => None,
        };
        path.push(octal.unwrap_or(*first));
        rest = if octal.is_some() { &rest[4..] } else { after };
    }
    OsString::from_vec(path).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "21 1 254:0 / / rw,relatime - ext4 /dev/vda rw";

    fn table(lines: &[&str]) -> MountTable {
        MountTable::parse(lines.join("\n").as_bytes())
    }

    #[test]
    fn mounts_come_go_and_are_exchanged() {
        let disk = "63 21 8:1 / /mnt/my\\040disk rw shared:1 master:2 - ext4 /dev/sda1 rw";
        let other = "64 21 8:17 / /mnt/my\\040disk rw - vfat /dev/sdb1 rw";
        let bind = "65 21 254:0 /srv/models /m/sub rw - ext4 /dev/vda rw";
        let dead = "65 21 254:0 /srv/models//deleted /m/sub rw - ext4 /dev/vda rw";
        type Row<'a> = (&'a str, &'a [&'a str], &'a [&'a str], &'a [&'a str]);
        let rows: [Row<'_>; 7] = [
            ("nothing new", &[ROOT, disk], &[ROOT, disk], &[]),
            ("mounted", &[ROOT], &[ROOT, disk], &["/mnt/my disk"]),
            ("unmounted", &[ROOT, disk], &[ROOT], &["/mnt/my disk"]),
            ("another disk", &[ROOT, disk], &[ROOT, other], &["/mnt/my disk"]),
            ("mounted over it", &[ROOT, disk], &[ROOT, disk, other], &["/mnt/my disk"]),
            ("a bind mount", &[ROOT], &[ROOT, bind, ""], &["/m/sub"]),
            ("whose source is deleted", &[ROOT, bind], &[ROOT, dead], &["/m/sub"]),
        ];
        for (what, before, now, points) in rows {
            let changed = table(now).changed_since(&table(before));
            assert_eq!(changed, points.iter().map(PathBuf::from).collect(), "{what}");
        }
        assert_eq!(table(&[ROOT, bind]).by_id(65).unwrap().root, Path::new("/srv/models"));
        assert_eq!(table(&["", "63 x", "no number 1:2 / /m rw"]).0, []);
    }

    #[test]
    fn a_path_need_not_be_text() {
        let table = MountTable::parse(b"9 1 8:1 / /m/\xff\\134a\\011b rw - ext4 /dev/sda rw");
        let point = OsString::from_vec(b"/m/\xff\\a\tb".to_vec());
        assert_eq!(table.0[0].point, Path::new(&point));
        assert!(MountTable::read().0.iter().any(|mount| mount.point == Path::new("/")));
    }
}
