//! Detects a GPU.

use std::process::{Command, Stdio};

/// Asks nvidia-smi, which comes with every driver, including WSL's.
pub(crate) fn is_there() -> bool {
    let tool = Command::new("nvidia-smi").arg("-L").stdin(Stdio::null()).output();
    tool.is_ok_and(|output| output.status.success() && !output.stdout.is_empty())
}
