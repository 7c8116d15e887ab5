//! Whether the machine is idle: readings in, a decision out.

pub(crate) mod cpu;
pub(crate) mod gating;
pub mod gpu;
pub(crate) mod policy;
pub(crate) mod reason;
pub(crate) mod sample;
pub(crate) mod sampler;
pub(crate) mod users;
pub(crate) mod webui;

pub use cpu::Cpu;
pub use gpu::{Driver, Gpu, Gpus, Lost};
pub use policy::{Decision, Gates};
pub use reason::Reason;
pub use sample::Sample;
pub use webui::{WebUi, WebUiReading, is_titled};
