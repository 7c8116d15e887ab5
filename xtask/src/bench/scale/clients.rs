//! Measures many clients at once.

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use config::units::measured_size;
use protocol::{Client, Hello, Overview, Request, VERSION};

use super::super::{lab::Lab, measure::resident, small::Known, table::Row};
use crate::{daemon, process};

/// How many watch.
const CLIENTS: usize = 200;

/// How many query the status repeatedly. The daemon lets one process have 256 connections.
const ASKERS: usize = 50;

const TIME: Duration = Duration::from_secs(60);

/// The time between two queries of a client, and between two changes.
const PAUSE: Duration = Duration::from_millis(500);

/// The time limit for all clients to receive the last change, and for memory to be freed.
const REST: Duration = Duration::from_secs(15);

type SharedOverview = Arc<Mutex<Overview>>;

pub(super) fn run(lab: &Lab, tree: &Known) -> Result<Vec<Row>> {
    let mut daemon = tree.daemon(lab, Some(0.1))?;
    let mut client = tree.ready(&mut daemon)?;
    process::sleep(Duration::from_secs(3))?;
    daemon::list(&mut client)?;
    let before = resident(daemon.pid())?;

    let stop = Arc::new(AtomicBool::new(false));
    let answers = Arc::new(AtomicUsize::new(0));
    let deaf = never_read(daemon.socket())?;
    let mut watchers: Vec<SharedOverview> = Vec::new();
    for _ in 0..CLIENTS {
        watchers.push(watch(daemon.socket())?);
    }
    for _ in 0..ASKERS {
        ask(daemon.socket(), &stop, &answers)?;
    }
    let end = Instant::now() + TIME;
    let place = |round: usize| tree.folders[1].join(format!("wanders {round}.safetensors"));
    fs::rename(tree.folders[1].join("small 1501.safetensors"), place(0))?;
    let mut round = 0;
    while Instant::now() < end {
        fs::rename(place(round), place(round + 1))?;
        round += 1;
        process::sleep(PAUSE)?;
    }
    stop.store(true, Ordering::SeqCst);
    let busy = resident(daemon.pid())?;
    let list = daemon::list(&mut client)?.into_iter();
    let expected = list.map(|entry| (entry.key(), entry)).collect();
    let up_to_date = || {
        let is_right =
            |known: &&SharedOverview| known.lock().is_ok_and(|known| known.checkpoints == expected);
        watchers.iter().filter(is_right).count()
    };
    let _ = process::until(
        "waiting for all watchers to see it",
        REST,
        Duration::from_millis(100),
        || Ok((up_to_date() == CLIENTS).then_some(())),
    );
    let right = up_to_date();
    let dropped = is_dropped(deaf);
    // Their threads disconnect once nothing refers to their state.
    drop(watchers);
    fs::rename(place(round), tree.folders[1].join("small 1501.safetensors"))?;
    process::sleep(REST)?;
    let after = resident(daemon.pid())?;
    daemon.stop();
    ensure!(round > 0, "no renames were made");
    let how = format!(
        "with `watch`, and {ASKERS} with `status` every {} ms for {} s; {round} renames meanwhile, {} replies; \
         counts watchers that end up with what `list` shows",
        PAUSE.as_millis(),
        TIME.as_secs(),
        answers.load(Ordering::SeqCst)
    );
    let memory =
        format!("{} → {} → {}", measured_size(before), measured_size(busy), measured_size(after));
    let dropped = if dropped { "dropped" } else { "not dropped" };
    Ok(vec![
        Row::new(format!("{CLIENTS} clients"), format!("{right} up to date"), "all", how),
        Row::new("… resident memory", memory, "back to the start", "before, during, after"),
        Row::new("… one that never reads", dropped, "dropped", "it watches too"),
    ])
}

/// Applies the daemon's events to a state, as long as something refers to it.
fn watch(socket: &Path) -> Result<SharedOverview> {
    let events = Client::connect(socket)?.watch()?;
    let known = SharedOverview::default();
    let held = Arc::downgrade(&known);
    thread::spawn(move || {
        for event in events.map_while(Result::ok) {
            let Some(known) = held.upgrade() else { return };
            let Ok(mut known) = known.lock() else { return };
            known.apply(event);
        }
    });
    Ok(known)
}

fn ask(socket: &Path, stop: &Arc<AtomicBool>, answers: &Arc<AtomicUsize>) -> Result<()> {
    let mut client = Client::connect(socket)?;
    let (stop, answers) = (stop.clone(), answers.clone());
    thread::spawn(move || {
        while !stop.load(Ordering::SeqCst) && daemon::status(&mut client).is_ok() {
            answers.fetch_add(1, Ordering::SeqCst);
            thread::sleep(PAUSE);
        }
    });
    Ok(())
}

/// A client that subscribes and never reads.
fn never_read(socket: &Path) -> Result<UnixStream> {
    let mut stream = UnixStream::connect(socket)?;
    let hello = Hello { protocol: VERSION, version: String::new() };
    for line in [serde_json::to_string(&hello)?, serde_json::to_string(&Request::Watch)?] {
        writeln!(stream, "{line}").context("sdtrtd does not read the request")?;
    }
    Ok(stream)
}

/// Whether the daemon disconnects the client in the middle of a message.
fn is_dropped(mut deaf: UnixStream) -> bool {
    let mut sent = Vec::new();
    let _ = deaf.set_read_timeout(Some(Duration::from_secs(1)));
    deaf.read_to_end(&mut sent).is_ok() && !sent.ends_with(b"\n")
}
