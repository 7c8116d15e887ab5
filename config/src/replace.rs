use std::{
    fs::{self, File, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
};

/// Writes a configuration file: to a temporary one, synced and renamed; links are followed, and permissions kept.
///
/// # Errors
/// If it can't be written; nothing was changed then.
pub fn replace(file: &Path, text: &str) -> io::Result<()> {
    let written = || {
        let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
        let dir = file.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(dir)?;
        let mode = fs::metadata(&file).map_or(0o644, |found| found.permissions().mode() & 0o777);
        let mut aside = tempfile::Builder::new().prefix(".sdtrtd-").tempfile_in(dir)?;
        aside.write_all(text.as_bytes())?;
        aside.as_file().set_permissions(Permissions::from_mode(mode))?;
        aside.as_file().sync_all()?;
        aside.persist(&file).map_err(|error| error.error)?;
        File::open(dir)?.sync_all()
    };
    written().map_err(|error: io::Error| {
        let shown = file.display();
        io::Error::new(error.kind(), format!("cannot write {shown}; nothing was changed: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacing_keeps_rights_and_links() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("a.toml"), dir.path().join("link.toml"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        replace(&link, "new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_cannot_be_written_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        let error = replace(&dir.path().join("file/sdtrtd.toml"), "").unwrap_err().to_string();
        assert!(error.contains("file/sdtrtd.toml; nothing was changed"), "{error}");
    }
}
