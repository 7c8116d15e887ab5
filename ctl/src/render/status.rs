//! The daemon at a glance.

use protocol::{Building, Gpu, GpuReading, Hashing, ModelsDir, Queued, Status, StoreStatus};

use crate::render::{look::Look, progress, table::Fields, text};

/// Entries of the queue that are shown; the first time thousands of checkpoints may wait.
const QUEUE_SHOWN: usize = 10;

/// Columns from which on a job has a bar.
const WIDE: usize = 100;

/// Of a bar.
const BAR: usize = 20;

/// At the time `now`, in seconds since 1970; `look` is the terminal's.
pub(crate) fn render(status: &Status, now: u64, look: Look) -> String {
    let mut fields = Fields::default();
    let daemon = &status.daemon;
    fields.add(
        "sdtrtd",
        format!("{}, pid {}, up {}", daemon.version, daemon.pid, text::duration(daemon.uptime_s)),
    );
    fields.add("TensorRT", runtime(status));
    fields.all("GPUs", status.gpus.iter().map(gpu));
    if let Some(problem) = &status.gpu_problem {
        fields.add("", problem);
    }
    if !status.troubles.is_empty() {
        fields.all(
            "trouble",
            status.troubles.iter().map(|trouble| text::clean(trouble).into_owned()),
        );
    }
    fields.all("models", status.models_dirs.iter().map(models_dir));
    fields.add("data", &daemon.data_dir);
    fields.add("checkpoints", counts(status));
    if status.hashing.files > 0 {
        fields.add("hashing", hashing(&status.hashing));
    }
    if let Some(store) = &status.store {
        fields.all("store", store_lines(store, now));
    }
    if let Some(gate) = &status.gate {
        fields.add("gate", format!("closed: {gate}"));
    }
    let gpus = status.gpus.len();
    fields.all("running", status.building.iter().map(|job| bar(job, look) + &building(job, gpus)));
    fields.all("queue", queue(&status.queue));
    fields.render_in(look.width)
}

fn runtime(status: &Status) -> String {
    match (&status.runtime, &status.runtime_problem) {
        (Some(runtime), None) => {
            format!("{} {}, {}", runtime.flavour, runtime.version, runtime.path)
        }
        (Some(runtime), Some(problem)) => {
            format!("{} {}: {problem}", runtime.flavour, runtime.version)
        }
        (None, Some(problem)) => format!("none: {problem}"),
        (None, None) => "none".to_owned(),
    }
}

fn gpu(gpu: &Gpu) -> String {
    let mut line = format!("{}, compute capability {}", gpu.name, gpu.compute_capability);
    if let Some(reading) = &gpu.reading {
        line += &used(reading);
    }
    line
}

/// The GPU's use, as it reports it.
fn used(reading: &GpuReading) -> String {
    let mut told = String::new();
    if let Some(why) = &reading.lost {
        told += &format!(", can't be used: {why}");
    }
    if let Some(percent) = reading.utilisation {
        let note = if percent > 100 { ", which can't be" } else { "" };
        told += &format!(", {percent} %{note}");
    }
    if let (Some(free), Some(total)) = (reading.memory_free, reading.memory_total) {
        told += &format!(", {} of {} free", text::size(free), text::size(total));
    }
    let computing = reading.processes.iter().flatten().filter(|process| process.compute);
    for process in computing {
        let name = process.name.as_deref().unwrap_or("process");
        told += &format!(", {name} (pid {})", process.pid);
    }
    told
}

/// The next job, in a few words.
pub(crate) fn next(status: &Status) -> String {
    match (&status.building[..], status.queue.first(), &status.gate) {
        ([now, ..], ..) => format!("{} {}", now.task, now.weights_id.short()),
        ([], None, _) => "nothing is waiting".to_owned(),
        ([], Some(first), gate) => {
            let first = first.weights_id.short();
            let gate =
                gate.as_ref().map_or(String::new(), |gate| format!(": {}", text::clean(gate)));
            format!("{first} is next{gate}")
        }
    }
}

fn models_dir(dir: &ModelsDir) -> String {
    match &dir.problem {
        Some(problem) => format!("{}: {problem}", dir.path),
        None => dir.path.clone(),
    }
}

/// Such as `3 ready, 1 queued`, in the order of a checkpoint's states.
pub(crate) fn counts(status: &Status) -> String {
    let counts: Vec<_> =
        status.counts.iter().map(|(state, count)| format!("{count} {state}")).collect();
    if counts.is_empty() { "none".to_owned() } else { counts.join(", ") }
}

/// Checkpoints that are usable already.
fn hashing(hashing: &Hashing) -> String {
    let Hashing { files, bytes, reading } = hashing;
    let left =
        format!("{} of {} still to read", text::count(*files as usize, "file"), text::size(*bytes));
    if reading.is_empty() { left } else { format!("{left}, now {}", reading.join(", ")) }
}

/// What is shared with other machines, and what is wrong with that.
fn store_lines(store: &StoreStatus, now: u64) -> Vec<String> {
    let StoreStatus { url, mode, problem, retry_at, engines_taken, contents_taken, added, refused } =
        store;
    let mut lines = vec![format!(
        "{url}, {mode}: {} and what {} hold taken, {} added",
        text::count(*engines_taken as usize, "engine"),
        text::count(*contents_taken as usize, "file"),
        text::count(*added as usize, "object"),
    )];
    if let Some(problem) = problem {
        let left = retry_at.map(|at| at.saturating_sub(now)).filter(|left| *left > 0);
        let again = left.map_or_else(String::new, |left| {
            format!("; it is asked again in {}", text::duration(left))
        });
        lines.push(format!("{}{again}", text::clean(problem)));
    }
    lines.extend(refused.iter().map(|refused| format!("refused: {}", text::clean(refused))));
    lines
}

/// How far a job has come, where there is room for it.
fn bar(building: &Building, look: Look) -> String {
    let done = progress::done(building).filter(|_| look.width.is_some_and(|width| width >= WIDE));
    done.map_or_else(String::new, |done| {
        let full = (done * BAR as f64).round() as usize;
        format!("[{}{}] ", "█".repeat(full), "·".repeat(BAR - full.min(BAR)))
    })
}

/// With several GPUs, it says which one is used.
fn building(building: &Building, gpus: usize) -> String {
    let Building { task, weights_id, preset, phase, percent, elapsed_s, gpu } = building;
    let left = progress::left_s(building, *elapsed_s as f64);
    let left = left.map_or_else(String::new, |left| format!(", {} left", text::duration(left)));
    let gpu = gpu.filter(|_| gpus > 1).map_or_else(String::new, |gpu| format!(" on GPU {gpu}"));
    format!("{task} {} {preset}{gpu}: {phase} {percent} %{left}", weights_id.short())
}

fn queue(queue: &[Queued]) -> Vec<String> {
    let line = |queued: &Queued| {
        let Queued { weights_id, preset, why, reason } = queued;
        format!("{} {preset}: {why}; {reason}", weights_id.short())
    };
    let mut lines: Vec<_> = queue.iter().take(QUEUE_SHOWN).map(line).collect();
    if queue.len() > QUEUE_SHOWN {
        lines.push(format!("and {} more", queue.len() - QUEUE_SHOWN));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    fn plain(status: &Status) -> String {
        render(status, 1_000, Look::default())
    }

    #[test]
    fn a_wide_terminal_shows_bars_and_a_narrow_one_is_kept_to() {
        let status = samples::status();
        let at = |width| render(&status, 0, Look { width: Some(width), colour: false });
        assert!(at(160).contains("[█████████···········] building aaaaaaaaaaaa"), "{}", at(160));
        for width in [60, 80, 120] {
            for line in at(width).lines() {
                assert!(console::measure_text_width(line) <= width, "{width}: {line}");
            }
        }
    }

    #[test]
    fn a_busy_daemon() {
        insta::assert_snapshot!(plain(&samples::status()), @r"
        sdtrtd        0.1.0, pid 4711, up 1 h 2 min
        TensorRT      tensorrt-rtx 1.7.1.116, /data/runtime/1.7.1.116/libtensorrt_rtx.so.1
        GPUs          NVIDIA GeForce RTX 4090, compute capability 8.9, 87 %, 19 GB of 24 GB free, python (pid 4242)
        models        /models
                      /mnt/nas: does not exist
        data          /data
        checkpoints   1 queued, 3 ready
        gate          closed: GPU 0 is at 87 %, used by python (pid 4242)
        running       building aaaaaaaaaaaa default: build 42 %, 1 min 11 s left
        queue         cccccccccccc default: recipe 1 → 2; next, after aaaaaaaaaaaa
        ");
    }

    #[test]
    fn a_daemon_without_anything() {
        let status = Status {
            runtime: None,
            runtime_problem: Some("not found; run `sdtrtctl runtime install`".into()),
            gpus: vec![],
            models_dirs: vec![],
            gate: None,
            queue: vec![],
            building: vec![],
            counts: [].into(),
            ..samples::status()
        };
        insta::assert_snapshot!(plain(&status), @r"
        sdtrtd        0.1.0, pid 4711, up 1 h 2 min
        TensorRT      none: not found; run `sdtrtctl runtime install`
        GPUs          none
        models        none
        data          /data
        checkpoints   none
        running       none
        queue         none
        ");
    }

    #[test]
    fn a_store_that_is_away_says_when_it_is_asked_again() {
        let problem = Some("it does not answer: PUT https://host: 503".to_owned());
        for (problem, retry_at, expected) in [
            (
                None,
                None,
                "file:///nas, read: 0 engines and what 0 files hold taken, 0 objects added",
            ),
            (
                problem.clone(),
                Some(1_090),
                "it does not answer: PUT https://host: 503; it is asked again in 1 min 30 s",
            ),
            (problem, Some(1_000), "it does not answer: PUT https://host: 503"),
        ] {
            let (url, mode) = ("file:///nas".to_owned(), "read".to_owned());
            let store = StoreStatus { url, mode, problem, retry_at, ..StoreStatus::default() };
            assert_eq!(store_lines(&store, 1_000).last().unwrap(), expected);
        }
    }

    #[test]
    fn a_resumed_daemon_says_what_is_next() {
        let building = samples::status();
        let waiting = Status { building: vec![], ..building.clone() };
        let free = Status { gate: None, ..waiting.clone() };
        let done = Status { queue: vec![], ..free.clone() };
        for (status, expected) in [
            (building, "building aaaaaaaaaaaa"),
            (waiting, "cccccccccccc is next: GPU 0 is at 87 %, used by python (pid 4242)"),
            (free, "cccccccccccc is next"),
            (done, "nothing is waiting"),
        ] {
            assert_eq!(next(&status), expected);
        }
    }

    #[test]
    fn of_several_gpus_it_is_told_which_one() {
        let status = samples::status();
        let other = Building { gpu: Some(1), ..samples::building() };
        let status = Status {
            gpus: vec![status.gpus[0].clone(); 2],
            building: vec![samples::building(), other],
            ..status
        };
        let rendered = plain(&status);
        assert!(rendered.contains("aaaaaaaaaaaa default on GPU 0: build 42 %"), "{rendered}");
        assert!(rendered.contains("aaaaaaaaaaaa default on GPU 1: build 42 %"), "{rendered}");
    }

    #[test]
    fn what_is_still_to_be_read_is_told() {
        let reading = vec!["/models/new.safetensors".to_owned()];
        let hashing = Hashing { files: 2, bytes: 13_000_000_000, reading };
        let rendered = plain(&Status { hashing, ..samples::status() });
        let line = "2 files of 13 GB still to read, now /models/new.safetensors";
        assert!(rendered.contains(line), "{rendered}");
        assert!(!plain(&samples::status()).contains("hashing"));
    }

    #[test]
    fn a_long_queue_is_cut() {
        let mut status = samples::status();
        status.queue = vec![status.queue[0].clone(); 13];
        let rendered = plain(&status);
        assert!(rendered.ends_with("   and 3 more\n"), "{rendered}");
        assert_eq!(rendered.matches("cccccccccccc").count(), 10);
    }
}
