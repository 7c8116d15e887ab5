//! A machine that shares: its key, its folder, and engines to add.

use std::{
    fs,
    path::{Path, PathBuf},
};

use engine::{Manifest, Validation, Weights, samples};
use store::{Limits, PublicKey, SigningKey, Store, Trust};
use tempfile::TempDir;

use super::{id, random::Random};

/// Whose kernels and validations these are.
pub(crate) const MACHINE: &str = "NVIDIA_H200-580.159.04-1.7.1.116";
pub(crate) const TENSORRT: &str = "1.7.1.116";

pub(crate) struct Machine {
    folder: TempDir,
    key: SigningKey,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = SigningKey::generate(&folder.path().join("store.key")).unwrap();
        Self { folder, key }
    }

    pub(crate) fn public(&self) -> PublicKey {
        self.key.public().clone()
    }

    /// A store at this address that it adds to; it trusts itself and these.
    pub(crate) fn store(&self, address: &str, others: &[&Self], limits: Limits) -> Store {
        let trusted = others.iter().map(|other| other.public()).chain([self.public()]);
        let trust = Trust::new(trusted.collect());
        let seen = self.folder.path().join("seen");
        let address = address.parse().unwrap();
        Store::open(&address, trust, Some(self.key.clone()), Some(seen), limits).unwrap()
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file in its folder.
    pub(crate) fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.at(name);
        fs::write(&path, content).unwrap();
        path
    }
}

/// An engine whose plan this is, and which differs from those of other names.
pub(crate) fn manifest(name: &str, plan: &[u8]) -> Manifest {
    let spec = samples::spec(Weights::Shared(id(name)));
    let presets = vec!["default".to_owned()];
    Manifest::new(spec, presets, id("weights"), samples::built(plan), 7, 1.0)
}

/// What a validation on [`MACHINE`] found.
pub(crate) fn validation(error: f64, at: u64) -> Validation {
    let found = samples::validation("NVIDIA H200", "580.159.04", Some(error));
    Validation { validated_at: at, ..found }
}

/// A plan of this size, half of which can be packed.
pub(crate) fn plan(seed: u64, length: usize) -> Vec<u8> {
    let mut plan = Random::new(seed).bytes(length / 2);
    plan.resize(length, 0);
    plan
}

/// What was written there.
pub(crate) fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()
}
