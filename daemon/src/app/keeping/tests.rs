//! What becomes of engines whose checkpoints can't be seen.

use config::BuildWhen;
use protocol::State;

use crate::{
    app::{messages::Message, stage::Stage},
    watch::{Scan, Stamp},
};

/// What a scan finds of the only checkpoint.
#[derive(Clone, Copy, Debug)]
enum Seen {
    /// Its file.
    There,
    /// No file, but not everything could be looked at.
    PartOfAll,
    /// No file.
    Gone,
}

#[tokio::test(start_paused = true)]
async fn what_may_lie_on_a_disk_that_is_away_is_no_orphan() {
    use Seen::{Gone, PartOfAll, There};
    use State::{Away, Orphaned, Ready};
    let table: [&[(Seen, State)]; 4] = [
        &[(There, Ready), (PartOfAll, Away), (PartOfAll, Away), (There, Ready)],
        &[(PartOfAll, Away), (Gone, Orphaned), (There, Ready)],
        // It was gone before the disk was: that is no reason to keep it longer.
        &[(Gone, Orphaned), (PartOfAll, Orphaned), (There, Ready)],
        &[(PartOfAll, Away), (There, Ready), (Gone, Orphaned)],
    ];
    for scans in table {
        let mut stage = Stage::new(0, BuildWhen::Always, &["a.safetensors"]).await;
        stage.actor.world.config.orphan_days = 0.0;
        stage.end_build();
        for (seen, expected) in scans {
            look(&mut stage, *seen);
            assert_eq!(stage.shown().0, *expected, "{seen:?} of {scans:?}");
            let is_garbage = !stage.actor.collect_garbage(true).unwrap().is_empty();
            assert_eq!(is_garbage, *expected == Orphaned, "{seen:?} of {scans:?}");
            assert!(stage.queue().is_empty() && stage.actor.world.work.is_empty());
        }
    }
}

fn look(stage: &mut Stage, seen: Seen) {
    let stamp = Stamp { device: 1, inode: 1, size: 1, mtime_ns: 1 };
    let file = matches!(seen, Seen::There).then(|| ("/m/a.safetensors".into(), stamp));
    let incomplete = matches!(seen, Seen::PartOfAll);
    stage.actor.looks.scans_begun = stage.actor.looks.scans_done + 1;
    stage.actor.take(Message::Found(file.into_iter().collect()));
    stage.actor.take(Message::Scanned(Scan { incomplete, ..Scan::default() }));
    stage.actor.due.second_look = None;
    stage.actor.refresh();
}
