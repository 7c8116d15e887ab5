use protocol::GpuReading;
use serde::{Deserialize, Serialize};

use super::WebUiReading;

/// What was read of the machine at one time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// Every GPU, in the order of `status`; or why GPUs that were there can't be read any more.
    pub gpus: Result<Vec<GpuReading>, String>,
    /// The numbers of those that a job of ours uses, or has just used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ours: Vec<usize>,
    /// Bytes of the machine's memory that are free or could be, where it tells.
    pub memory_free: Option<u64>,
    /// Percent of all cores that work of normal priority uses, which ours is not.
    pub cpu: Option<u32>,
    /// What the web UI says, where one is configured and answers.
    pub webui: Option<WebUiReading>,
}
