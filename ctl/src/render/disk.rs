//! Disk usage, and what may be deleted.

use std::collections::BTreeMap;

use protocol::{Checkpoint, Disk, Engine, Garbage, Id};

use crate::render::{
    look::Look,
    table::{Fields, Table},
    text,
};

/// `now` is in seconds since 1970; `look` is the terminal's.
pub(crate) fn render(disk: &Disk, now: u64, look: Look) -> String {
    let mut rendered = String::new();
    if !disk.checkpoints.is_empty() {
        rendered = table(&disk.checkpoints, now).render(look);
        rendered.push('\n');
    }
    let sums = &disk.sums;
    let mut fields = Fields::default();
    let quota = disk.quota.map_or_else(String::new, |quota| format!(" of {}", text::size(quota)));
    fields.add("engines", text::size(sums.engines) + &quota);
    fields.add("orphans", text::size(sums.orphans));
    fields.add("logs", text::size(sums.logs));
    fields.add("scratch", text::size(sums.scratch));
    fields.add("libraries", text::size(sums.runtimes));
    fields.add("learned", text::size(sums.learned));
    fields.add("kernels", text::size(sums.kernels));
    let min_free = text::size(disk.min_free);
    fields.add("free", format!("{}, {min_free} of it reserved", text::size(disk.free)));
    rendered + &fields.render()
}

/// Each engine once, with the first of the checkpoints that it is for.
fn table(checkpoints: &[Checkpoint], now: u64) -> Table {
    let mut table =
        Table::new(&["CHECKPOINT", "ENGINE", "SERVES", "SIZE", "BUILT", "USED", "PINNED", "NAME"]);
    let ago = |then: u64| text::duration(now.saturating_sub(then)) + " ago";
    let mut checkpoints_of: BTreeMap<Id, usize> = BTreeMap::new();
    for engine in checkpoints.iter().flat_map(|checkpoint| &checkpoint.engines) {
        *checkpoints_of.entry(engine.key).or_default() += 1;
    }
    for checkpoint in checkpoints {
        for engine in &checkpoint.engines {
            let Some(of) = checkpoints_of.remove(&engine.key) else { continue };
            let name = match (checkpoint.locations.is_empty(), of) {
                (true, _) => "-".to_owned(),
                (false, 1) => text::name(checkpoint).into_owned(),
                (false, of) => format!("{} and {} more", text::name(checkpoint), of - 1),
            };
            let (weights, key) = (checkpoint.key().short(), engine.key.short());
            let cells = [
                weights.as_str(),
                &key,
                &engine.label(),
                &text::size(engine.bytes),
                &ago(engine.built_at),
                &ago(engine.last_used),
                if engine.pinned { "yes" } else { "-" },
                &name,
            ];
            let orphaned = engine.orphaned_since.map(|since| format!("orphaned {}", ago(since)));
            let outdated = engine.outdated.as_ref().map(|changed| format!("outdated: {changed}"));
            table.row(cells, orphaned.or(outdated).as_deref());
        }
    }
    table
}

/// What became of the engines that were pinned or are no longer.
pub(crate) fn pins(engines: &[Engine]) -> String {
    let line = |engine: &Engine| {
        let done = if engine.pinned { "pinned" } else { "unpinned" };
        format!("{done} {}\n", engine.key.short())
    };
    engines.iter().map(line).collect()
}

/// What went, or with `dry_run` would; `look` is the terminal's.
pub(crate) fn garbage(garbage: &[Garbage], dry_run: bool, look: Look) -> String {
    if garbage.is_empty() {
        return "nothing to delete\n".to_owned();
    }
    let mut table = Table::new(&["SIZE", "FILE"]);
    for Garbage { path, bytes, reason } in garbage {
        table.row([&text::size(*bytes), path], Some(reason));
    }
    let verb = if dry_run { "would free" } else { "freed" };
    let bytes = garbage.iter().map(|garbage| garbage.bytes).sum();
    let files = text::count(garbage.len(), "file");
    table.render(look) + &format!("{verb} {} in {files}\n", text::size(bytes))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use protocol::Sums;

    use super::*;
    use crate::render::samples;

    const NOW: u64 = 1_093_600;

    fn disk() -> Disk {
        let outdated = Engine {
            pinned: true,
            outdated: Some("recipe 1 → 2".into()),
            last_used: 1_000_000,
            ..samples::engine('f')
        };
        let orphan = Engine { orphaned_since: Some(NOW - 172_800), ..samples::engine('d') };
        Disk {
            checkpoints: vec![
                Checkpoint {
                    engines: [samples::engine('e'), outdated, samples::fixed('1')]
                        .map(Arc::new)
                        .into(),
                    ..samples::ready()
                },
                Checkpoint {
                    weights_id: Some(samples::id('2')),
                    engines: [samples::fixed('1')].map(Arc::new).into(),
                    ..samples::ready()
                },
                Checkpoint { engines: [orphan].map(Arc::new).into(), ..samples::orphaned() },
            ],
            sums: Sums {
                engines: 5_137_000_000,
                orphans: 1_712_345_678,
                logs: 12_345,
                scratch: 0,
                runtimes: 140_000_000,
                learned: 524_287,
                kernels: 3_000_000,
            },
            quota: Some(50_000_000_000),
            free: 123_000_000_000,
            min_free: 2_000_000_000,
        }
    }

    #[test]
    fn engines_and_sums() {
        insta::assert_snapshot!(render(&disk(), NOW, Look::default()), @r"
        CHECKPOINT     ENGINE         SERVES            SIZE     BUILT         USED          PINNED   NAME
        aaaaaaaaaaaa   eeeeeeeeeeee   default           1.7 GB   1 d 2 h ago   1 h ago       -        sd15.safetensors
        aaaaaaaaaaaa   ffffffffffff   default           1.7 GB   1 d 2 h ago   1 d 2 h ago   yes      sd15.safetensors
          outdated: recipe 1 → 2
        aaaaaaaaaaaa   111111111111   512x768 batch 2   21 MB    1 d 2 h ago   1 h ago       -        sd15.safetensors and 1 more
        aaaaaaaaaaaa   dddddddddddd   default           1.7 GB   1 d 2 h ago   1 h ago       -        -
          orphaned 2 d ago

        engines     5.1 GB of 50 GB
        orphans     1.7 GB
        logs        12 kB
        scratch     0 B
        libraries   140 MB
        learned     524 kB
        kernels     3.0 MB
        free        123 GB, 2.0 GB of it reserved
        ");
    }

    #[test]
    fn without_engines_there_are_sums() {
        let disk = Disk { checkpoints: vec![], quota: None, ..disk() };
        let rendered = render(&disk, NOW, Look::default());
        assert!(rendered.starts_with("engines     5.1 GB\n"), "{rendered}");
    }

    #[test]
    fn pins_are_told() {
        let pinned = Engine { pinned: true, ..samples::engine('f') };
        insta::assert_snapshot!(pins(&[pinned, samples::engine('e')]), @r"
        pinned ffffffffffff
        unpinned eeeeeeeeeeee
        ");
    }

    #[test]
    fn garbage_is_told_with_its_reason() {
        let some = |path: &str, bytes, reason: &str| Garbage {
            path: path.into(),
            bytes,
            reason: reason.into(),
        };
        let all = [
            some("/data/engines/a.engine", 1_700_000_000, "outdated, and bbbbbbbbbbbb is there"),
            some("/data/logs/\u{1b}.log", 300, "its engine is gone"),
        ];
        insta::assert_snapshot!(garbage(&all, true, Look::default()), @r"
        SIZE     FILE
        1.7 GB   /data/engines/a.engine
          outdated, and bbbbbbbbbbbb is there
        300 B    /data/logs/\u{1b}.log
          its engine is gone
        would free 1.7 GB in 2 files
        ");
        assert!(garbage(&all[..1], false, Look::default()).ends_with("\nfreed 1.7 GB in 1 file\n"));
        assert_eq!(garbage(&[], false, Look::default()), "nothing to delete\n");
    }
}
