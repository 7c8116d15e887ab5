//! Measures the daemon with thousands of checkpoints and hundreds of clients.

mod clients;
mod moves;
mod start;

use anyhow::Result;

use super::{lab::Lab, small::Known, table::Row};

const COUNT: usize = 10_000;
const FOLDERS: usize = 500;

pub(super) fn run(lab: &Lab) -> Result<Vec<Row>> {
    let tree = Known::write(lab, "scale", COUNT, FOLDERS)?;
    let mut rows = start::run(lab, &tree)?;
    rows.extend(clients::run(lab, &tree)?);
    rows.extend(moves::run(lab, &tree)?);
    Ok(rows)
}
