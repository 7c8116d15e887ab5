//! Notifications on the desktop, over D-Bus, as freedesktop.org's specification of them says.

use std::collections::HashMap;

use zbus::{Connection, Variant};

const SERVICE: &str = "org.freedesktop.Notifications";
const OBJECT: &str = "/org/freedesktop/Notifications";

/// Leaves it to the desktop how long it is shown.
const ITS_OWN_TIME: i32 = -1;

/// Shows a notification. `bus` is the session's, if there is one.
///
/// # Errors
/// If nothing on the bus shows any.
pub(super) async fn show(bus: &Connection, title: &str, lines: &str) -> zbus::Result<()> {
    let (replaces, icon, actions) = (0_u32, "", [""; 0]);
    let hints: HashMap<&str, Variant<'_>> = HashMap::new();
    let shown = ("sdtrt", replaces, icon, title, lines, &actions[..], hints, ITS_OWN_TIME);
    bus.call_method(Some(SERVICE), OBJECT, Some(SERVICE), "Notify", &shown).await?;
    Ok(())
}
