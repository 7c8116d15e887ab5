//! What the store of the test holds: the truth, and what an attacker has.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use checkpoint::Id;
use engine::{Manifest, Validation, Weights, samples};
use serde::Serialize;
use store::{PublicKey, SharedEngine, SharedKernels};

use crate::common::{id, random::Random, sealing::Signer};

/// Whose kernels and validations these are.
pub(crate) const MACHINE: &str = "NVIDIA_H200-580.159.04-1.7.1.116";
const GPU: &str = "NVIDIA H200";
const DRIVER: &str = "580.159.04";

/// When the truth was signed, and what came before it.
const NOW: u64 = 2_000;
const BEFORE: u64 = 1_000;

const ENGINES: usize = 6;

/// An object of the store.
#[derive(Clone)]
pub(crate) struct Object {
    pub(crate) truth: Bytes,
    /// The one before, which was as true in its time.
    pub(crate) old: Option<Bytes>,
    /// What somebody else has signed: another plan, other kernels, another hash.
    pub(crate) foreign: Option<Bytes>,
}

/// All of one engine, as it is.
pub(crate) struct Truth {
    pub(crate) manifest: Manifest,
    pub(crate) plan: Vec<u8>,
    pub(crate) kernels: Vec<u8>,
    pub(crate) validation: Validation,
    /// The evidence of a file, and its hash.
    pub(crate) content: (Id, String),
}

pub(crate) struct World {
    pub(crate) objects: BTreeMap<String, Object>,
    pub(crate) truths: Vec<Truth>,
    pub(crate) trusted: PublicKey,
}

impl World {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        let (ours, theirs) = (Signer::new(), Signer::new());
        let mut world =
            Self { objects: BTreeMap::new(), truths: Vec::new(), trusted: ours.public() };
        let mut random = Random::new(seed);
        for number in 0..ENGINES {
            let truth = world.add(number, &mut random, [&ours, &theirs]);
            world.truths.push(truth);
        }
        Arc::new(world)
    }

    fn add(&mut self, number: usize, random: &mut Random, signers: [&Signer; 2]) -> Truth {
        let weights = Weights::Shared(id(&format!("signature {number}")));
        let of = |plan: &[u8]| {
            let spec = samples::spec(weights);
            let built = samples::built(plan);
            Manifest::new(spec, vec!["default".to_owned()], id("weights"), built, 7, 1.0)
        };
        // The truth, what was before, and what somebody else would have.
        let plans = [(); 3].map(|()| self.blob(random));
        let manifests = [0, 1, 2].map(|which| of(&plans[which].0));
        let engines = [0, 1, 2].map(|which| SharedEngine {
            manifest: manifests[which].clone(),
            packed_bytes: plans[which].1,
        });
        let key = manifests[0].key;
        self.put(format!("engines/{key}.sealed"), signers, &engines);
        let caches = [(); 3].map(|()| self.blob(random));
        let kernels = [0, 1, 2].map(|which: usize| SharedKernels {
            machine: MACHINE.to_owned(),
            engine: key,
            bytes: caches[which].0.len() as u64,
            blake3: blake3::hash(&caches[which].0).into(),
            packed_bytes: caches[which].1,
        });
        self.put(format!("kernels/{MACHINE}/{key}.sealed"), signers, &kernels);
        let error = (number + 1) as f64 * 1e-3;
        let validations = [error, error / 2.0, error / 3.0]
            .map(|error| samples::validation(GPU, DRIVER, Some(error)));
        self.put(format!("validations/{MACHINE}/{key}.sealed"), signers, &validations);
        let evidence = id(&format!("evidence {number}"));
        let contents = ["truth", "before", "lie"].map(|what| format!("{what} {number}"));
        self.put(format!("contents/{evidence}.sealed"), signers, &contents);
        let [manifest, ..] = manifests;
        let [(plan, _), ..] = plans;
        let [(kernels, _), ..] = caches;
        let [validation, ..] = validations;
        let [content, ..] = contents;
        Truth { manifest, plan, kernels, validation, content: (evidence, content) }
    }

    /// Adds a blob of random content; its content and packed size.
    fn blob(&mut self, random: &mut Random) -> (Vec<u8>, u64) {
        let length = 1 + random.below(100_000);
        // Half of it can be packed.
        let mut content = random.bytes(length / 2);
        content.resize(length, 0);
        let packed = zstd::encode_all(&content[..], 3).unwrap();
        let bytes = packed.len() as u64;
        let truth = Object { truth: packed.into(), old: None, foreign: None };
        self.objects.insert(format!("blobs/{}.zst", blake3::hash(&content).to_hex()), truth);
        (content, bytes)
    }

    /// Adds a sealed object: the truth, what was before, and what somebody else has signed.
    fn put(&mut self, name: String, signers: [&Signer; 2], payloads: &[impl Serialize; 3]) {
        let payload = |which: usize| serde_json::to_vec(&payloads[which]).unwrap();
        let [ours, theirs] = signers;
        let object = Object {
            truth: ours.seal(&name, NOW, &payload(0)).into(),
            old: Some(ours.seal(&name, BEFORE, &payload(1)).into()),
            foreign: Some(theirs.seal(&name, NOW + 1, &payload(2)).into()),
        };
        self.objects.insert(name, object);
    }
}
