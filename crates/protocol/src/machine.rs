use serde::{Deserialize, Serialize};

use crate::{Gpu, Runtime};

/// This machine's GPUs and TensorRT, as `sdtrtd probe` prints them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Machine {
    /// Version of the program.
    pub version: String,
    /// Version of NVIDIA's driver.
    pub driver: Option<String>,
    /// Why it is missing, or what is wrong with it or with a GPU.
    pub driver_problem: Option<String>,
    /// Whether a driver is installed but can't be used, as after an update without a restart.
    pub driver_broken: bool,
    /// NVIDIA GPUs, and how they are used.
    pub gpus: Vec<Gpu>,
    /// The TensorRT that would be used.
    pub runtime: Option<Runtime>,
    /// Why it is missing, and what to do.
    pub runtime_problem: Option<String>,
}
