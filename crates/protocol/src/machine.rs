use serde::{Deserialize, Serialize};

use crate::{Gpu, Runtime};

/// What there is to build with, as `sdtrtd probe` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Machine {
    /// Version of the program that looked.
    pub version: String,
    /// Version of NVIDIA's driver.
    pub driver: Option<String>,
    /// Why there is none.
    pub driver_problem: Option<String>,
    /// NVIDIA GPUs, their readings left out.
    pub gpus: Vec<Gpu>,
    /// The TensorRT that would be used.
    pub runtime: Option<Runtime>,
    /// Why there is none, and what to do.
    pub runtime_problem: Option<String>,
}
