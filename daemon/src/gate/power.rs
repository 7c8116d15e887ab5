//! Whether the machine draws from a battery, as the kernel tells below `/sys/class/power_supply`.

use std::{fs, path::Path};

use tokio::time::{Duration, Instant};

use crate::timers::passed;

/// Where the kernel lists what supplies power.
const SUPPLIES: &str = "/sys/class/power_supply";

/// How often to look, on a machine with a battery.
const LOOK: Duration = Duration::from_secs(30);

/// When to look, and what was seen last.
#[derive(Default)]
pub(super) struct Power {
    due: Option<Instant>,
    draws: bool,
}

impl Power {
    /// Looks first at this time.
    pub(super) fn new(now: Instant) -> Self {
        Self { due: Some(now), draws: false }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn draws(&self) -> bool {
        self.draws
    }

    /// Whether to look now.
    pub(super) fn take_due(&mut self, now: Instant) -> bool {
        let is_due = passed(self.due, now);
        if is_due {
            self.due = None;
        }
        is_due
    }

    /// What was seen; `None` on a machine without a battery, where nothing is looked at again. Returns whether
    /// that is news.
    pub(super) fn record(&mut self, draws: Option<bool>) -> bool {
        self.due = draws.map(|_| Instant::now() + LOOK);
        let draws = draws.unwrap_or(false);
        std::mem::replace(&mut self.draws, draws) != draws
    }
}

/// One of the kernel's power supplies, by the texts in its files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Supply {
    /// `Battery`, `UPS`, `Mains`, `USB`, and others.
    kind: String,
    /// `Device` for the battery of a mouse or the like.
    scope: String,
    status: String,
    online: String,
}

/// Whether this machine draws from a battery; `None` if it has none, or the kernel does not say.
pub(crate) fn look() -> Option<bool> {
    draws(&supplies(Path::new(SUPPLIES)))
}

fn supplies(folder: &Path) -> Vec<Supply> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let supplies = entries.map(|entry| {
        let text = |name| {
            let text = fs::read_to_string(entry.path().join(name)).unwrap_or_default();
            text.trim().to_owned()
        };
        let [kind, scope, status, online] = ["type", "scope", "status", "online"].map(text);
        Supply { kind, scope, status, online }
    });
    supplies.collect()
}

/// A battery that discharges although there is mains power, as when the charger is too weak, still draws mains power.
fn draws(supplies: &[Supply]) -> Option<bool> {
    let of = |kinds: &'static [&'static str]| {
        supplies
            .iter()
            .filter(move |one| kinds.contains(&one.kind.as_str()) && one.scope != "Device")
    };
    let mut batteries = of(&["Battery", "UPS"]).peekable();
    batteries.peek()?;
    let is_plugged_in =
        of(&["Mains", "USB", "Wireless"]).any(|one| !matches!(&*one.online, "0" | ""));
    Some(!is_plugged_in && batteries.any(|one| one.status == "Discharging"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn supply(text: &str) -> Supply {
        let field = |name: &str| {
            let value = text.split(' ').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
            value.unwrap_or_default().to_owned()
        };
        Supply {
            kind: text.split(' ').next().unwrap().to_owned(),
            scope: field("scope"),
            status: field("status"),
            online: field("online"),
        }
    }

    #[test]
    fn what_a_machine_draws_from() {
        for (what, supplies, expected) in [
            ("a desktop", vec![], None),
            ("with mains told", vec!["Mains online=1"], None),
            ("with a wireless mouse", vec!["Battery scope=Device status=Discharging"], None),
            (
                "a laptop, unplugged",
                vec!["Mains online=0", "Battery status=Discharging"],
                Some(true),
            ),
            ("plugged in", vec!["Mains online=1", "Battery status=Charging"], Some(false)),
            ("full", vec!["Mains online=1", "Battery status=Full"], Some(false)),
            ("charged to 80 %", vec!["Mains online=1", "Battery status=Not"], Some(false)),
            ("a weak charger", vec!["USB online=1", "Battery status=Discharging"], Some(false)),
            (
                "two ports, one used",
                vec!["USB online=0", "USB online=1", "Battery status=Discharging"],
                Some(false),
            ),
            ("no word of mains", vec!["Battery status=Discharging"], Some(true)),
            ("nor of the battery", vec!["Battery status=Unknown"], Some(false)),
            (
                "two batteries",
                vec!["Mains online=0", "Battery status=Unknown", "Battery status=Discharging"],
                Some(true),
            ),
            ("a desktop whose UPS supplies it", vec!["UPS status=Discharging"], Some(true)),
            ("and whose UPS charges", vec!["UPS status=Charging"], Some(false)),
            (
                "a laptop and a mouse",
                vec![
                    "Mains online=0",
                    "Battery status=Discharging",
                    "Battery scope=Device status=Full",
                ],
                Some(true),
            ),
        ] {
            let supplies: Vec<_> = supplies.into_iter().map(supply).collect();
            assert_eq!(draws(&supplies), expected, "{what}");
        }
    }

    #[test]
    fn the_kernels_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(supplies(&folder.path().join("none")), []);
        let battery = folder.path().join("BAT0");
        fs::create_dir(&battery).unwrap();
        for (name, text) in
            [("type", "Battery\n"), ("status", "Discharging\n"), ("capacity", "58\n")]
        {
            fs::write(battery.join(name), text).unwrap();
        }
        assert_eq!(supplies(folder.path()), [supply("Battery status=Discharging")]);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_battery_nobody_looks_again() {
        let mut power = Power::new(Instant::now());
        assert!(power.take_due(Instant::now()) && !power.take_due(Instant::now()));
        assert!(!power.record(None) && power.due().is_none());
        let mut power = Power::new(Instant::now());
        assert!(power.record(Some(true)) && power.draws() && !power.record(Some(true)));
        assert!(power.due().is_some());
        assert!(power.record(Some(false)) && !power.draws());
    }
}
