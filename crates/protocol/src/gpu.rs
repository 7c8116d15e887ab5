use serde::{Deserialize, Serialize};

/// How a GPU is used. What its driver does not support is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct GpuReading {
    /// Percent of the driver's last sample period (up to a second) in which something ran.
    pub utilisation: Option<u32>,
    /// NVIDIA's P-state: 0 is full speed, 8 and more are for resting.
    pub performance_state: Option<u32>,
    /// Memory that nobody has, in bytes.
    pub memory_free: Option<u64>,
    /// All its memory, in bytes.
    pub memory_total: Option<u64>,
    /// Who uses it.
    pub processes: Option<Vec<GpuProcess>>,
}

/// A process that uses a GPU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct GpuProcess {
    /// Process id.
    pub pid: u32,
    /// Of its program; absent where the process can't be seen from here.
    pub name: Option<String>,
    /// It computes; otherwise it only draws.
    pub compute: bool,
    /// It is sdtrtd's own worker.
    pub ours: bool,
    /// Memory it has on the GPU, in bytes.
    pub memory: Option<u64>,
    /// Percent of the driver's last sample period in which it ran.
    pub utilisation: Option<u32>,
}
