use std::{fmt, time::Duration};

use super::stuck::STUCK;

/// Why nothing is built at present. `Display` includes the current figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateReason {
    /// Others use a GPU.
    Gpu {
        /// The GPU's index.
        index: usize,
        /// The use in percent, if known.
        percent: Option<u32>,
        /// The processes that use it, if known.
        users: Vec<String>,
    },
    /// A GPU reports use, but no process that uses it.
    Nobody {
        /// Its place in the list of GPUs, from 0.
        index: usize,
        /// The use in percent.
        percent: u32,
    },
    /// The web UI is generating images.
    WebUi,
    /// Others use this percentage of the CPU.
    Cpu(u32),
    /// The GPUs can no longer be read, and why.
    Lost(String),
    /// One GPU can no longer be read.
    LostGpu {
        /// Its place in the list of GPUs, from 0.
        index: usize,
        /// The cause.
        why: String,
    },
    /// Without a GPU the CPU decides, and was not sampled yet.
    Unseen,
    /// The machine is idle, but not long enough yet.
    TooSoon {
        /// How long it must be idle.
        window: Duration,
    },
}

impl GateReason {
    /// Returns what a checkpoint waits for: the same text as long as the cause is the same.
    pub fn awaited(&self) -> String {
        match self {
            Self::Gpu { index, users, .. } if users.is_empty() => {
                format!("waits until GPU {index} is idle")
            }
            Self::Nobody { index, .. } => {
                format!("waits until GPU {index} is idle: it reports use by no process")
            }
            Self::LostGpu { index, .. } => format!("waits until GPU {index} is back"),
            Self::Gpu { index, users, .. } => {
                format!("waits until GPU {index} is idle: used by {}", users.join(", "))
            }
            Self::WebUi => "waits until the web UI has made its images".to_owned(),
            Self::Cpu(_) => "waits until the CPU is idle".to_owned(),
            Self::Lost(_) => "waits until the NVIDIA driver answers".to_owned(),
            Self::Unseen => "waits until the CPU has been looked at".to_owned(),
            Self::TooSoon { window } => {
                format!("waits until the machine has been idle for {} s", window.as_secs_f64())
            }
        }
    }
}

impl fmt::Display for GateReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gpu { index, percent, users } => {
                write!(f, "GPU {index} is ")?;
                if let Some(percent) = percent {
                    write!(f, "at {percent} %")?;
                }
                match (percent, users.is_empty()) {
                    (Some(_), true) => Ok(()),
                    (Some(_), false) => write!(f, ", used by {}", users.join(", ")),
                    (None, _) => write!(f, "used by {}", users.join(", ")),
                }
            }
            Self::Nobody { index, percent } => write!(
                f,
                "GPU {index} reports {percent} % by no process; once that has not changed for {} s it counts as idle",
                STUCK.as_secs()
            ),
            Self::LostGpu { index, why } => write!(
                f,
                "GPU {index} can't be used: {why}; `sudo dmesg` says more, and a restart of the machine may bring it \
                 back"
            ),
            Self::WebUi => f.write_str("the web UI makes images"),
            Self::Cpu(percent) => write!(f, "other programs use {percent} % of the CPU"),
            Self::Lost(why) => f.write_str(why),
            Self::Unseen => f.write_str("the CPU has not been looked at yet"),
            Self::TooSoon { window } => {
                write!(f, "the machine has not been idle for {} s yet", window.as_secs_f64())
            }
        }
    }
}
