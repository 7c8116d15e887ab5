use std::{ops::ControlFlow, sync::Mutex};

use trtx::interfaces::MonitorProgress;

use super::{Phase, at};

/// Reports TensorRT's own progress.
#[derive(Default)]
pub(super) struct Monitor(Mutex<Phases>);

impl Monitor {
    fn update(&self, change: impl FnOnce(&mut Phases)) {
        let Ok(mut phases) = self.0.lock() else { return };
        change(&mut phases);
        if let Some(percent) = phases.news() {
            at(Phase::Build, percent);
        }
    }
}

impl MonitorProgress for Monitor {
    fn phase_start(&self, phase_name: &str, _parent: Option<&str>, num_steps: i32) {
        self.update(|phases| phases.start(phase_name, num_steps));
    }

    fn step_complete(&self, phase_name: &str, step: i32) -> ControlFlow<()> {
        self.update(|phases| phases.step(phase_name, step));
        ControlFlow::Continue(())
    }

    fn phase_finish(&self, phase_name: &str) {
        self.update(|phases| phases.finish(phase_name));
    }
}

/// TensorRT's open phases, outermost first: each runs within a step of the one before it. (TensorRT's parent
/// names are not used: trtx 0.9.1 passes the phase's own name instead.)
#[derive(Default)]
struct Phases {
    open: Vec<Open>,
    shown: u8,
}

struct Open {
    name: String,
    steps: i32,
    done: i32,
}

impl Phases {
    fn start(&mut self, name: &str, steps: i32) {
        self.open.push(Open { name: name.to_owned(), steps: steps.max(1), done: 0 });
    }

    fn step(&mut self, name: &str, step: i32) {
        if let Some(phase) = self.open.iter_mut().rfind(|phase| phase.name == name) {
            phase.done = step.saturating_add(1).clamp(0, phase.steps);
        }
    }

    fn finish(&mut self, name: &str) {
        if let Some(index) = self.open.iter().rposition(|phase| phase.name == name) {
            self.open.truncate(index);
        }
    }

    /// The overall progress in percent, if it has grown since the last call.
    fn news(&mut self) -> Option<u8> {
        let done = self.open.iter().rev().fold(0.0, |inner: f64, phase| {
            ((f64::from(phase.done) + inner) / f64::from(phase.steps)).min(1.0)
        });
        let percent = (done * 100.0) as u8;
        (percent > self.shown).then(|| {
            self.shown = percent;
            percent
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_phases_fill_the_steps_of_outer_ones() {
        let mut phases = Phases::default();
        phases.start("engine", 2);
        assert_eq!(phases.news(), None);
        phases.start("clone", 10);
        phases.step("clone", 4);
        assert_eq!(phases.news(), Some(25));
        phases.finish("clone");
        phases.step("engine", 0);
        assert_eq!(phases.news(), Some(50));
        phases.start("tactics", 4);
        phases.start("tactics", 2);
        phases.step("tactics", 0);
        assert_eq!(phases.news(), Some(56));
        phases.finish("tactics");
        assert_eq!(phases.news(), None, "it never goes back");
        phases.finish("tactics");
        phases.step("engine", 1);
        assert_eq!(phases.news(), Some(100));
        phases.step("unheard of", 5);
        phases.finish("engine");
        assert_eq!(phases.news(), None);
    }
}
