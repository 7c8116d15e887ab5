//! Whether there is a GPU.

use std::process::{Command, Stdio};

/// Asked of the driver's own tool, which comes with every driver, WSL's included.
pub(crate) fn is_there() -> bool {
    let tool = Command::new("nvidia-smi").arg("-L").stdin(Stdio::null()).output();
    tool.is_ok_and(|output| output.status.success() && !output.stdout.is_empty())
}
