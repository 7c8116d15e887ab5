use serde::{Deserialize, Serialize};

/// A GPU's use. Values that its driver doesn't support are absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct GpuReading {
    /// Percent of the driver's last sample period (up to a second) in which something ran.
    pub utilisation: Option<u32>,
    /// NVIDIA's P-state: 0 is full speed, 8 and above are idle states.
    pub performance_state: Option<u32>,
    /// Free memory, in bytes.
    pub memory_free: Option<u64>,
    /// Total memory, in bytes.
    pub memory_total: Option<u64>,
    /// The processes that use it.
    pub processes: Option<Vec<GpuProcess>>,
}

/// A process that uses a GPU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct GpuProcess {
    /// Process id.
    pub pid: u32,
    /// Its program's name; absent if the process is hidden from sdtrtd.
    pub name: Option<String>,
    /// Whether it computes or only draws.
    pub compute: bool,
    /// Whether it is sdtrtd's own worker.
    pub ours: bool,
    /// GPU memory that it uses, in bytes.
    pub memory: Option<u64>,
    /// Percent of the driver's last sample period in which it ran.
    pub utilisation: Option<u32>,
}
