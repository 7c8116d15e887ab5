//! Looks at whole models folders: how they begin, end or are given up.

use std::{collections::BTreeMap, mem, path::Path};

use tokio::{task::spawn_blocking, time::Instant};

use super::{
    Aliases, FileEvent, Inventory, Stamp,
    folders::{GATHER, LookResult, ModelsFolder},
    looking::owner,
    watch::LookOrder,
};
use crate::timers::passed;

impl Inventory {
    /// Gives up what hangs: what lies there can't be seen, and what waits for it need not.
    pub(super) fn give_up(&mut self, now: Instant) -> bool {
        let readings = self.readings.values_mut().chain(self.hashings.values_mut());
        for reading in readings.filter(|reading| passed(reading.due, now)) {
            reading.due = None;
            let folders = self.folders.iter_mut();
            let mut of = folders.filter(|folder| folder.dir == reading.dir && folder.is_at_rest());
            of.by_ref().for_each(|folder| folder.record_due(now));
        }
        let mut given_up = false;
        for folder in &mut self.folders {
            if folder.give_up(now) {
                given_up = true;
                self.catalogue.forget_dir(&folder.dir);
                self.readings.retain(|_, reading| reading.dir != folder.dir);
                self.hashings.retain(|_, reading| reading.dir != folder.dir);
            }
        }
        given_up
    }

    /// Takes in looks that have ended, all together once none of them is waited for.
    pub(super) fn take_in(&mut self, now: Instant) -> bool {
        let mut awaited = self.folders.iter().filter_map(ModelsFolder::awaited_until);
        if awaited.any(|until| now < until) {
            return false;
        }
        let ended = self.folders.iter_mut().filter_map(|folder| {
            let seen = folder.take_done()?;
            Some((folder.dir.clone(), seen))
        });
        let mut ended: Vec<_> = ended.collect();
        let (has_changed, mut stale) = (!ended.is_empty(), Vec::new());
        for (dir, LookResult { files, .. }) in &mut ended {
            let (recall, files) = (self.recall.clone(), mem::take(files));
            let known = |path: &Path, stamp: &Stamp| recall.known(path, stamp);
            let seen = self.catalogue.seen(dir, files, super::now(), known);
            stale.extend(seen);
        }
        for (dir, LookResult { scan, .. }) in ended {
            self.catalogue.forget_unseen(&dir);
            self.disks.retain(|place, _| owner(&self.folders, place).is_some_and(|of| *of != dir));
            self.disks.extend(scan.disks.clone());
            let mut folders = self.folders.iter_mut();
            if let Some(folder) = folders.find(|folder| folder.dir == dir) {
                folder.record_scan(scan, self.rescan, now);
            }
        }
        if has_changed {
            stale.into_iter().for_each(|path| self.look_at(path, |_| {}));
            let links = self.folders.iter().flat_map(|folder| folder.scan.links.clone());
            self.whereabouts.record_links(links.collect());
            let mut aliases = Aliases::default();
            self.folders.iter().for_each(|folder| aliases.extend(&folder.scan.aliases));
            self.renamed |= aliases != self.aliases;
            self.aliases = aliases;
        }
        has_changed
    }

    pub(super) fn begin_looks(&mut self, now: Instant) {
        let Some(looker) = self.looker.clone() else { return };
        for number in 0..self.folders.len() {
            if self.folders[number].take_glance(now) {
                let (looker, tell) = (looker.clone(), self.tell.clone());
                let dir = self.folders[number].dir.clone();
                spawn_blocking(move || tell(FileEvent::Glanced(dir.clone(), looker.trail(&dir))));
            }
        }
        if !self.folders.iter().any(|folder| folder.is_due(now)) {
            return;
        }
        // What is due right after it too: a move from one to the other is seen whole.
        for index in 0..self.folders.len() {
            if self.folders[index].is_due(now + GATHER) {
                let (order, tell, looker) =
                    (self.order(index, now), self.tell.clone(), looker.clone());
                spawn_blocking(move || {
                    let number = order.round;
                    let scan =
                        looker.look(&order, &mut |files| tell(FileEvent::Found(number, files)));
                    tell(FileEvent::Scanned(number, scan));
                });
            }
        }
    }

    /// What a look at this models folder, which begins now, is to know.
    pub(super) fn order(&mut self, index: usize, now: Instant) -> LookOrder {
        self.looks_begun += 1;
        let watched: usize = self.folders.iter().map(|folder| folder.scan.watched).sum();
        let dir = self.folders[index].dir.clone();
        let is_nested = |other: &&ModelsFolder| other.dir != dir && other.dir.starts_with(&dir);
        let nested = self.folders.iter().filter(is_nested).map(|other| other.dir.clone()).collect();
        let of_it =
            self.disks.iter().filter(|(place, _)| owner(&self.folders, place) == Some(&dir));
        let disks: BTreeMap<_, _> =
            of_it.map(|(place, disk)| (place.clone(), disk.clone())).collect();
        let folder = &mut self.folders[index];
        LookOrder {
            nested,
            disks,
            ignored: self.ignored.clone(),
            round: self.looks_begun,
            notifier: folder.notifier.clone(),
            watched_elsewhere: watched - folder.scan.watched,
            pulse: folder.record_begin(self.looks_begun, self.asked, now),
            dir,
        }
    }
}
