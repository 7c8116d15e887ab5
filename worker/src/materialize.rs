//! Builds a plan with a checkpoint's weights inside, for other programs.

use std::{fs, io, path::Path};

use anyhow::{Context, Result};
use checkpoint::Checkpoint;
use engine::{Job, Report};

use super::{Phase, at, beside, build};

/// Builds the engine and moves its complete plan to `output`; never overwrites a file.
pub(super) fn materialize(job: &Job, output: &Path, checkpoint: &Checkpoint) -> Result<Report> {
    build::baked(job, checkpoint)?;
    at(Phase::Publish, 0);
    let cannot = || format!("cannot write {}", output.display());
    let mut plan = fs::File::open(job.plan()).with_context(cannot)?;
    let folder = output.parent().with_context(cannot)?;
    let mut aside = beside(folder).with_context(cannot)?;
    let bytes = io::copy(&mut plan, &mut aside).with_context(cannot)?;
    aside.as_file().sync_all().with_context(cannot)?;
    aside.persist_noclobber(output).map_err(|error| error.error).with_context(cannot)?;
    Ok(Report::Materialized(bytes))
}
