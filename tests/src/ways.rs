//! Ways to have other content lie under a known name, each of which leaves the size and puts back the time.

use std::{
    fs::{self, File, FileTimes},
    io,
    os::unix::fs::{FileExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, FallocateFlags, RenameFlags, fallocate, renameat_with};

/// A folder of files of one size and one time, in which something is done behind the daemon's back.
#[derive(Debug)]
pub struct Ground {
    /// Below a models folder.
    pub inside: PathBuf,
    /// Where nobody watches.
    pub outside: PathBuf,
}

/// What is done.
pub type Way = fn(&Ground) -> io::Result<()>;

/// Bytes that are other afterwards, where not all are.
const PART: usize = 1 << 20;

impl Ground {
    /// A file in the models folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.inside.join(name)
    }

    fn far(&self, name: &str) -> PathBuf {
        self.outside.join(name)
    }

    fn a(&self) -> PathBuf {
        self.file("one/a.safetensors")
    }

    fn b(&self) -> PathBuf {
        self.file("other/a.safetensors")
    }

    fn c(&self) -> PathBuf {
        self.file("one/sub/c.safetensors")
    }

    /// What has names inside.
    fn outer(&self) -> PathBuf {
        self.far("outer.safetensors")
    }

    /// Content that lies nowhere in the models folder.
    fn fresh(&self) -> PathBuf {
        self.far("new.safetensors")
    }

    /// Gives it other names before the daemon sees it.
    ///
    /// # Errors
    /// When the file system does not let it.
    pub fn prepare(&self) -> io::Result<()> {
        fs::create_dir(self.file("other/sub"))?;
        fs::hard_link(self.outer(), self.file("one/linked.safetensors"))?;
        symlink(self.outer(), self.file("one/pointed.safetensors"))?;
        symlink(self.outer(), self.file("one/pointer.safetensors"))?;
        fs::hard_link(self.c(), self.file("one/c-too.safetensors"))
    }
}

/// The files that [`Ground::prepare`] expects.
pub const INSIDE: [&str; 3] = ["one/a.safetensors", "one/sub/c.safetensors", "other/a.safetensors"];

/// And those outside.
pub const OUTSIDE: [&str; 2] = ["new.safetensors", "outer.safetensors"];

/// All of them.
pub const WAYS: &[(&str, Way)] = &[
    ("cp -p", |g| copy_over(&g.fresh(), &g.a())),
    ("rsync -t --inplace", |g| overwrite(&g.a(), 0, &fs::read(g.fresh())?)),
    ("dd conv=notrunc and touch -r", |g| overwrite(&g.a(), 5 << 20, &[0x5a; PART])),
    ("pages in the middle, as a database writes", |g| {
        (0..40).try_for_each(|page| overwrite(&g.a(), (4 << 20) + page * 65_536, &[0x33; 4096]))
    }),
    ("a hole", |g| {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        in_place(&g.a(), |file| Ok(fallocate(file, flags, 4 << 20, PART as u64)?))
    }),
    ("mv over", |g| fs::rename(g.fresh(), g.a())),
    ("mv of what was written beside it", |g| {
        let part = g.file("one/a.safetensors.part");
        copy_over(&g.fresh(), &part)?;
        fs::rename(part, g.a())
    }),
    ("ln -f", |g| {
        fs::remove_file(g.a())?;
        fs::hard_link(g.fresh(), g.a())
    }),
    ("ln -sf", |g| {
        fs::remove_file(g.a())?;
        symlink(g.fresh(), g.a())
    }),
    ("a link that leads elsewhere", |g| {
        symlink(g.fresh(), g.file("one/link"))?;
        fs::rename(g.file("one/link"), g.file("one/pointed.safetensors"))
    }),
    ("written by its name outside", |g| overwrite(&g.outer(), 4 << 20, &[1; PART])),
    ("written where links lead to", |g| copy_over(&g.fresh(), &g.outer())),
    ("replaced where links lead to", |g| fs::rename(g.fresh(), g.outer())),
    ("written by its other name", |g| {
        overwrite(&g.file("one/c-too.safetensors"), 0, &fs::read(g.fresh())?)
    }),
    ("two files exchanged", |g| exchange(&g.a(), &g.b())),
    ("two files by turns", |g| by_turns(&g.a(), &g.b())),
    ("two files' contents exchanged", |g| {
        let (a, b) = (fs::read(g.a())?, fs::read(g.b())?);
        overwrite(&g.a(), 0, &b)?;
        overwrite(&g.b(), 0, &a)
    }),
    ("two folders exchanged, then written to", |g| {
        exchange(&g.file("one"), &g.file("other"))?;
        overwrite(&g.b(), 4 << 20, &[2; PART])
    }),
    ("two folders by turns, then written to", |g| {
        by_turns(&g.file("one"), &g.file("other"))?;
        overwrite(&g.file("other/sub/c.safetensors"), 4 << 20, &[3; PART])
    }),
    ("folders below exchanged, then written to", |g| {
        exchange(&g.file("one/sub"), &g.file("other/sub"))?;
        overwrite(&g.file("other/sub/c.safetensors"), 4 << 20, &[4; PART])
    }),
    ("a folder replaced, then written to", |g| {
        fs::rename(g.file("one"), g.far("one"))?;
        fs::rename(g.file("other"), g.file("one"))?;
        overwrite(&g.a(), 4 << 20, &[5; PART])
    }),
    ("a folder that becomes a link", |g| {
        fs::rename(g.file("one"), g.far("one"))?;
        fs::rename(g.file("other"), g.far("other"))?;
        symlink(g.far("other"), g.file("one"))?;
        overwrite(&g.a(), 4 << 20, &[6; PART])
    }),
    ("truncated and written", |g| {
        let (time, new) = (time(&g.a())?, fs::read(g.fresh())?);
        fs::write(g.a(), &new[..PART])?;
        File::options().write(true).open(g.a())?.write_all_at(&new[PART..], PART as u64)?;
        set_time(&g.a(), time)
    }),
    ("deleted, and made anew", |g| {
        let (time, new) = (time(&g.a())?, fs::read(g.fresh())?);
        fs::remove_file(g.a())?;
        fs::write(g.a(), new)?;
        set_time(&g.a(), time)
    }),
    ("written to, then renamed", |g| {
        overwrite(&g.a(), 4 << 20, &[7; PART])?;
        fs::rename(g.a(), g.file("one/renamed.safetensors"))
    }),
    ("renamed, then written to", |g| {
        fs::rename(g.a(), g.file("one/renamed.safetensors"))?;
        overwrite(&g.file("one/renamed.safetensors"), 4 << 20, &[8; PART])
    }),
    ("written to away from home", |g| {
        fs::rename(g.a(), g.far("away.safetensors"))?;
        overwrite(&g.far("away.safetensors"), 4 << 20, &[9; PART])?;
        fs::rename(g.far("away.safetensors"), g.file("one/back.safetensors"))
    }),
    ("written to under the name of no checkpoint", |g| {
        fs::rename(g.a(), g.file("one/a.bak"))?;
        overwrite(&g.file("one/a.bak"), 4 << 20, &[10; PART])?;
        fs::rename(g.file("one/a.bak"), g.a())
    }),
    ("written to while it was hidden", |g| {
        let mode = fs::metadata(g.a())?.permissions();
        fs::set_permissions(g.a(), fs::Permissions::from_mode(0o600))?;
        overwrite(&g.a(), 4 << 20, &[11; PART])?;
        fs::set_permissions(g.a(), mode)
    }),
];

fn time(path: &Path) -> io::Result<FileTimes> {
    let metadata = fs::metadata(path)?;
    Ok(FileTimes::new().set_modified(metadata.modified()?).set_accessed(metadata.accessed()?))
}

fn set_time(path: &Path, time: FileTimes) -> io::Result<()> {
    File::options().write(true).open(path)?.set_times(time)
}

fn in_place(path: &Path, change: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    let time = time(path)?;
    let file = File::options().write(true).open(path)?;
    change(&file)?;
    file.set_times(time)
}

fn overwrite(path: &Path, at: u64, bytes: &[u8]) -> io::Result<()> {
    in_place(path, |file| file.write_all_at(bytes, at))
}

fn copy_over(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    set_time(to, time(from)?)
}

fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

fn by_turns(one: &Path, other: &Path) -> io::Result<()> {
    let aside = one.with_extension("aside");
    fs::rename(one, &aside)?;
    fs::rename(other, one)?;
    fs::rename(aside, other)
}
