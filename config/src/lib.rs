//! Typed configuration of sdtrtd: the documented sdtrtd.toml, defaults, presets, validation.

mod build_when;
mod compute_capability;
mod engine_kind;
mod file;
mod paths;
mod presets;
pub mod runtime;
mod size;
mod webui;

pub use build_when::{BuildWhen, NotABuildWhen};
pub use bytesize::ByteSize;
pub use compute_capability::{ComputeCapability, NotAComputeCapability};
pub use engine_kind::{EngineKind, NotAnEngineKind};
pub use file::{Config, Error};
pub use paths::{config_file, data_dir, socket};
pub use presets::{Family, Preset, Range, Rule};
pub use webui::WebUi;
