use std::path::PathBuf;

/// Why it is time to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// This file was written to.
    Written(PathBuf),
    /// Something else was done to this file: its permissions, its times, its attributes.
    Touched(PathBuf),
    /// What was seen to leave one path came to another, a file or a folder.
    Renamed {
        /// Where it was.
        from: PathBuf,
        /// Where it is.
        to: PathBuf,
    },
    /// This file went where nobody sees what is done to it.
    Left(PathBuf),
    /// A disk was unmounted.
    Unmounted,
    /// Something came, went or moved, or events were lost: only a scan tells.
    Moved,
}
