//! GPUs that tests add.

use std::sync::Mutex;

use protocol::GpuReading;

use crate::gate::{Found, Gpu, Gpus, Problem};

/// GPUs of these names, with a driver of this version.
pub(super) struct Cards(Mutex<Vec<String>>, Mutex<String>);

impl Cards {
    pub(super) fn new(gpus: usize) -> Self {
        Self(Mutex::new(vec!["a GPU".to_owned(); gpus]), Mutex::new("1".to_owned()))
    }

    pub(super) fn update(&self, driver: &str) {
        driver.clone_into(&mut self.1.lock().unwrap());
    }

    pub(super) fn name(&self, index: usize, name: &str) {
        name.clone_into(&mut self.0.lock().unwrap()[index]);
    }

    pub(super) fn plug_in(&self, name: &str) {
        self.0.lock().unwrap().push(name.to_owned());
    }
}

impl Gpus for Cards {
    fn list(&self) -> Found {
        let gpu = |(index, name): (usize, &String)| Gpu {
            uuid: format!("GPU-{index}"),
            name: name.clone(),
            compute_capability: "8.9".parse().unwrap(),
            driver: self.1.lock().unwrap().clone(),
            pci: None,
        };
        let gpus = self.0.lock().unwrap().iter().enumerate().map(gpu).collect();
        Found { gpus, problem: None }
    }

    fn may_differ(&self) -> bool {
        false
    }

    fn read(&self, _: &[Gpu]) -> Result<Vec<GpuReading>, Problem> {
        unreachable!("the sampler is a test's own")
    }

    fn rest(&self) {}
}
