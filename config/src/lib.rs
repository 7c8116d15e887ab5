//! Typed configuration of sdtrtd: the documented sdtrtd.toml, defaults, presets, validation.

mod build_hours;
mod build_when;
mod compute_capability;
pub mod edit;
mod engine_kind;
mod file;
pub mod hook;
mod ignored;
mod key;
mod load;
mod mistake;
mod paths;
mod prefer;
mod presets;
mod replace;
pub mod runtime;
mod size;
mod template;
pub mod units;
mod webui;

pub use build_hours::{BuildHours, NotBuildHours};
pub use build_when::{BuildWhen, NotABuildWhen};
pub use bytesize::ByteSize;
pub use compute_capability::{ComputeCapability, NotAComputeCapability};
pub use engine_kind::{EngineKind, NotAnEngineKind};
pub use file::{Config, Error};
pub use ignored::{IGNORED, Ignored};
pub use key::{KEYS, Key, nearest};
pub use load::{Loaded, load, load_text};
pub use mistake::{Mistake, Origin};
pub use paths::{SYSTEM_FILE, config_file, data_dir, is_private, socket, sockets};
pub use prefer::{NotAPrefer, Prefer};
pub use presets::{Family, PIXEL_STEP, Preset, Range, Rule};
pub use replace::replace;
pub use template::{TEMPLATE, filled};
pub use webui::WebUi;
