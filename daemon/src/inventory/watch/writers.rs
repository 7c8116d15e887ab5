use std::collections::HashSet;

use procfs::process::{FDTarget, all_processes};

use crate::inventory::{FileId, Stamp};

/// Returns the files that some process has open for writing.
///
/// A copy can pause for longer than any settle time; its open file shows that it is not done. Only processes
/// that this user may inspect are seen, so for others only the settle time decides.
pub(crate) fn open_for_writing() -> HashSet<FileId> {
    let Ok(processes) = all_processes() else { return HashSet::new() };
    let mut files = HashSet::new();
    for process in processes.flatten() {
        let Ok(descriptors) = process.fd() else { continue };
        for descriptor in descriptors.flatten() {
            let FDTarget::Path(path) = &descriptor.target else { continue };
            // The mode of the link in /proc/PID/fd shows how the file was opened.
            if !checkpoint::is_checkpoint_name(path)
                || !descriptor.mode().contains(procfs::process::FDPermissions::WRITE)
            {
                continue;
            }
            files.extend(Stamp::of(path).map(|stamp| stamp.file()));
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_being_written_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.safetensors");
        let writer = fs::File::create(&path).unwrap();
        let id = |path| Stamp::of(path).unwrap().file();
        assert!(open_for_writing().contains(&id(&path)));
        drop(writer);
        let reader = fs::File::open(&path).unwrap();
        assert!(!open_for_writing().contains(&id(&path)));
        drop(reader);
    }
}
