//! Measures what throttling, sharing the state among subscribers and returning memory bring: with and
//! without, in one run. The figures are beside each in the code and in docs/architecture.md.
//!
//! ```text
//! cargo test -p sdtrtd --lib scenarios::measure -- --ignored --nocapture --test-threads 1
//! ```
#![allow(clippy::print_stdout, reason = "prints what was measured")]

use std::time::{Duration, Instant};

use config::{BuildWhen, EngineKind};
use procfs::{page_size, process::Process};
use tokio::sync::oneshot;

use super::stage::Stage;
use crate::{event::Event, inventory, memory, samples};

const CHECKPOINTS: usize = 10_000;
const WATCHERS: usize = 200;

async fn stage(count: usize) -> Stage {
    let names: Vec<String> = (0..count).map(|n| format!("{n}.safetensors")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Stage::with(1, BuildWhen::Never, EngineKind::Shared, &names).await
}

fn resident_bytes() -> u64 {
    let pages = Process::myself().unwrap().statm().unwrap().resident;
    pages * page_size()
}

fn begin_to_watch(stage: &mut Stage) -> crate::api::Line {
    let (reply, mut answer) = oneshot::channel();
    stage.owners.step(Event::Watch(reply));
    answer.try_recv().unwrap().0
}

/// The time of a step, which without the throttle follows every batch of files.
#[tokio::test(start_paused = true)]
#[ignore = "measures"]
async fn showing_while_files_are_read() {
    for watched in [false, true] {
        let mut stage = stage(CHECKPOINTS).await;
        let _watcher = watched.then(|| begin_to_watch(&mut stage));
        let (mut took, steps) = (Duration::ZERO, 20);
        let look = stage.owners.inventory.pretend_look();
        for number in 0..steps {
            let stamp = samples::stamp(1 << 40 | number, 1);
            let path = format!("/m/new-{number}.safetensors");
            stage
                .owners
                .step(Event::Files(inventory::FileEvent::Found(look, vec![(path.into(), stamp)])));
            stage.owners.timers.now();
            let started = Instant::now();
            stage.owners.step(Event::Files(inventory::FileEvent::Looked(Vec::new())));
            took += started.elapsed();
        }
        let step = took / u32::try_from(steps).unwrap();
        let share = step.as_secs_f64() / (step + Duration::from_millis(20)).as_secs_f64();
        println!(
            "{CHECKPOINTS} checkpoints, watched: {watched}: a step takes {step:.1?}; every 20 ms that is {:.0} % of \
             the loop's time, throttled 5 %",
            share * 100.0
        );
    }
}

/// Many clients subscribe at once.
#[tokio::test(start_paused = true)]
#[ignore = "measures"]
async fn the_state_of_many_watchers() {
    let mut stage = stage(CHECKPOINTS).await;
    for shared in [false, true] {
        let before = resident_bytes();
        let started = Instant::now();
        let lines: Vec<_> = (0..WATCHERS)
            .map(|_| {
                if !shared {
                    stage.owners.clients.forget_state();
                }
                begin_to_watch(&mut stage)
            })
            .collect();
        println!(
            "{WATCHERS} watchers of {CHECKPOINTS} checkpoints, shared: {shared}: {:.1?} and {} MB more",
            started.elapsed(),
            resident_bytes().saturating_sub(before) / 1_000_000
        );
        drop(lines);
        memory::give_back();
    }
}

/// What the daemon keeps after a burst of clients.
#[tokio::test(start_paused = true)]
#[ignore = "measures"]
async fn memory_after_a_burst() {
    let mut stage = stage(CHECKPOINTS).await;
    memory::give_back();
    let before = resident_bytes();
    for _ in 0..20 {
        let mut lines = Vec::new();
        for _ in 0..10 {
            stage.owners.clients.forget_state();
            lines.push(begin_to_watch(&mut stage));
        }
    }
    let kept = resident_bytes();
    let started = Instant::now();
    memory::give_back();
    let took = started.elapsed();
    let mb = |bytes: u64| bytes / 1_000_000;
    println!(
        "{CHECKPOINTS} checkpoints: {} MB before, {} MB after clients, {} MB once it was given back ({took:.1?})",
        mb(before),
        mb(kept),
        mb(resident_bytes())
    );
}
