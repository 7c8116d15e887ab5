use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Inventory, folders::ModelsFolder, looking};

impl Inventory {
    /// These are the models folders from now on: what is in no other is not heard of any more.
    pub(crate) fn set_dirs(&mut self, dirs: &[PathBuf]) {
        let mut before: Vec<ModelsFolder> =
            self.folders.drain(..).chain(self.retired.drain(..)).collect();
        for dir in dirs {
            if self.folders.iter().any(|folder| *folder.dir == **dir) {
                continue;
            }
            let known = before.iter().position(|folder| *folder.dir == **dir);
            let folder = match known {
                Some(index) => before.swap_remove(index),
                None => {
                    let dir: Arc<Path> = dir.as_path().into();
                    ModelsFolder::new(dir.clone(), looking::notifier(&self.tell, &dir))
                }
            };
            self.folders.push(folder);
        }
        for folder in before {
            self.catalogue.forget_dir(&folder.dir);
            if let Some(looker) = self.looker.as_ref().filter(|_| !folder.hangs()) {
                looker.forget(&folder.dir);
            } else {
                self.retired.push(folder);
            }
        }
    }
}
