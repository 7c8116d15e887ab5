use protocol::GpuReading;
use serde::{Deserialize, Serialize};

use super::WebUiReading;

/// A sample of the machine's use.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// Every GPU, in the order of `status`; or why they can no longer be read.
    pub gpus: Result<Vec<GpuReading>, String>,
    /// The indexes of GPUs that a job of ours uses, or has just used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ours: Vec<usize>,
    /// Bytes of available memory, if known.
    pub memory_free: Option<u64>,
    /// The percentage of all cores used by work of normal priority, which sdtrtd's is not.
    pub cpu: Option<u32>,
    /// What the web UI reports, if one is configured and replies.
    pub webui: Option<WebUiReading>,
}
