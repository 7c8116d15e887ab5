//! How much of what lies in the models folders is known.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::Path,
};

use checkpoint::Id;
use tracing::{info, warn};

use super::{Content, Inventory, Outcome, folders::ModelsFolder};

impl Inventory {
    /// Whether, once since the start, every folder was seen and the header of every file known.
    pub(crate) fn is_surveyed(&self) -> bool {
        self.surveyed
    }

    /// Whether, once since the start, every folder was seen and the content of every file known.
    pub(crate) fn was_hashed(&self) -> bool {
        self.was_hashed
    }

    /// Whether other names of folders have become known or are none any more.
    pub(crate) fn take_renamed(&mut self) -> bool {
        std::mem::take(&mut self.renamed)
    }

    /// The same, with all that was found beyond doubt.
    pub(crate) fn scans_understood(&self) -> u64 {
        if self.catalogue.is_in_doubt() { 0 } else { self.scans_done() }
    }

    /// The last look at everything that was taken in; 0 before the first.
    pub(crate) fn scans_done(&self) -> u64 {
        let surveys = self.folders.iter().map(|folder| folder.survey(self.asked));
        surveys.min().unwrap_or(self.asked)
    }

    /// Whether it is the first time that every folder was looked at, or given up.
    pub(crate) fn take_first_survey(&mut self) -> bool {
        let is_first = !self.looked && self.scans_done() > 0;
        if is_first {
            self.looked = true;
            info!(files = self.catalogue.files().count(), "first scan done");
        }
        is_first
    }

    /// Whether every file was seen and its content is known.
    pub(crate) fn is_all_hashed(&self) -> bool {
        self.scans_done() > 0 && self.catalogue.is_all_hashed()
    }

    /// Whether every file was seen, and read as far as it takes to use it.
    pub(crate) fn is_all_read(&self) -> bool {
        self.scans_done() > 0 && self.catalogue.is_all_read()
    }

    /// Whether every file was seen, and read as far as it takes to use it, files left out that somebody has had open
    /// for writing for longer than files settle: one that stays open holds nothing else up.
    pub(crate) fn is_read_but_for_open_files(&self) -> bool {
        self.scans_done() > 0 && self.catalogue.is_read_but_for_open_files()
    }

    /// Whether a signature that no file is known to have lies nowhere that can be looked at: no file is unread, and no
    /// folder unseen.
    pub(crate) fn is_all_seen(&self) -> bool {
        self.is_all_read() && self.folders.iter().all(ModelsFolder::is_settled)
    }

    /// Whether the same holds for a content.
    pub(crate) fn is_all_known(&self) -> bool {
        self.is_all_seen() && self.is_all_hashed()
    }

    /// Takes in whether everything is known, and where each content lies that one of `engines` is for; whether
    /// something was learned that is to outlive the daemon.
    pub(crate) fn record_survey(&mut self, engines: &HashSet<Id>) -> bool {
        let mut away: BTreeMap<_, _> = self.folders.iter().flat_map(ModelsFolder::away).collect();
        for file in self.catalogue.files() {
            if let Content::Read(Outcome::Unreadable(_)) = &file.content {
                let why = || "can't be read".to_owned();
                away.extend(file.paths.iter().map(|path| (path.to_path_buf(), why())));
            }
        }
        self.whereabouts.record_away(away, self.scans_done() > 0);
        let is_all_known = self.is_all_known();
        self.surveyed |= self.is_all_seen();
        self.was_hashed |= is_all_known;
        let mut seen: BTreeMap<Id, Vec<&Path>> =
            engines.iter().map(|id| (*id, Vec::new())).collect();
        // Most checkpoints have none to tell apart.
        let held = if engines.is_empty() { HashMap::new() } else { self.catalogue.held() };
        for held in held.values() {
            for id in [&held.identity.ids.unet, &held.identity.signature] {
                if let Some(paths) = seen.get_mut(id) {
                    paths.extend(&held.paths);
                }
            }
        }
        let have_moved = self.whereabouts.record_seen(seen, is_all_known);
        drop(held);
        if have_moved {
            self.recall.set_homes(self.whereabouts.homes());
        }
        self.record_problems();
        have_moved
    }

    fn record_problems(&mut self) {
        let problem = |folder: &ModelsFolder| Some((folder.dir.to_path_buf(), folder.problem()?));
        let problems = self.folders.iter().filter_map(problem).collect();
        for (dir, problem) in &problems {
            if self.problems.get(dir) != Some(problem) {
                warn!("{problem}");
            }
        }
        self.problems = problems;
    }
}
