use std::fmt;

use config::ComputeCapability;

use crate::gate::Gpu;

/// Why an engine is to be validated on a GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValidationCause {
    /// It was never validated.
    First,
    /// It was validated, but on another machine.
    Borrowed,
    /// It was last validated with another driver.
    Driver {
        /// That driver's version.
        from: String,
        /// The current driver's version.
        to: String,
    },
}

impl fmt::Display for ValidationCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => f.write_str("not validated on this GPU yet"),
            Self::Borrowed => f.write_str("validated on another machine only"),
            Self::Driver { from, to } => write!(f, "driver {from} → {to}"),
        }
    }
}

/// A validation that was made; the newest comes last.
#[derive(Clone, Copy, Debug)]
pub struct Past<'a> {
    /// The GPU's model.
    pub gpu: &'a str,
    /// The driver's version.
    pub driver: &'a str,
    /// Another machine made it.
    pub borrowed: bool,
}

/// Returns whether and why an engine built for these compute capabilities (all, if there are none) is to be
/// validated on this GPU.
pub fn due<'a>(
    gpu: &Gpu,
    made_for: &[ComputeCapability],
    validated: impl IntoIterator<Item = Past<'a>>,
) -> Option<ValidationCause> {
    if !made_for.is_empty() && !made_for.contains(&gpu.compute_capability) {
        return None;
    }
    let mut last = None;
    for Past { driver, borrowed, .. } in validated.into_iter().filter(|past| past.gpu == gpu.name) {
        if driver == gpu.driver {
            return borrowed.then_some(ValidationCause::Borrowed);
        }
        last = Some(driver);
    }
    Some(last.map_or(ValidationCause::First, |from| ValidationCause::Driver {
        from: from.to_owned(),
        to: gpu.driver.clone(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_for_each_gpu_and_driver() {
        let gpu = Gpu {
            uuid: "GPU-0".to_owned(),
            name: "a GPU".to_owned(),
            compute_capability: "8.9".parse().unwrap(),
            driver: "3".to_owned(),
            pci: None,
        };
        let driver = |from: &str| {
            Some(ValidationCause::Driver { from: from.to_owned(), to: "3".to_owned() })
        };
        type Row<'a> =
            (&'a str, &'a [&'a str], &'a [(&'static str, &'static str)], Option<ValidationCause>);
        let table: [Row<'_>; 8] = [
            ("new", &["8.9"], &[], Some(ValidationCause::First)),
            ("for any", &[], &[], Some(ValidationCause::First)),
            ("for this and others", &["8.6", "8.9"], &[], Some(ValidationCause::First)),
            ("for others", &["8.6", "12.0"], &[], None),
            ("validated", &["8.9"], &[("a GPU", "3")], None),
            ("validated elsewhere", &["8.9"], &[("another", "3")], Some(ValidationCause::First)),
            ("validated long ago", &["8.9"], &[("a GPU", "1"), ("a GPU", "2")], driver("2")),
            ("the driver came back", &["8.9"], &[("a GPU", "3"), ("a GPU", "2")], None),
        ];
        for (what, made_for, validated, expected) in table {
            let made_for: Vec<_> = made_for.iter().map(|name| name.parse().unwrap()).collect();
            let past = |borrowed| {
                let past = move |(gpu, driver): &(&'static str, &'static str)| Past {
                    gpu,
                    driver,
                    borrowed,
                };
                validated.iter().map(past)
            };
            assert_eq!(due(&gpu, &made_for, past(false)), expected, "{what}");
            // What another machine found counts, and is repeated.
            let is_for_it = made_for.is_empty() || made_for.contains(&gpu.compute_capability);
            let borrowed = expected.or(is_for_it.then_some(ValidationCause::Borrowed));
            assert_eq!(due(&gpu, &made_for, past(true)), borrowed, "{what}, on another machine");
        }
        assert_eq!(driver("2").unwrap().to_string(), "driver 2 → 3");
    }
}
