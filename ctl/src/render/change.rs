//! The daemon's events as lines: what changed since the previous event.

use protocol::{Building, Checkpoint, EntryKey, Event, Overview};

use crate::render::{progress, status, text};

/// What a progress bar shows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Phase and checkpoint.
    pub(crate) doing: String,
    /// Of the phase.
    pub(crate) percent: u8,
    /// Remaining time of the whole job; empty while unknown.
    pub(crate) left: String,
}

/// The state that a watcher knows so far.
#[derive(Default)]
pub(crate) struct Known(Overview);

impl Known {
    /// Applies an event; returns the line for it, without a line break, if it deserves one.
    pub(crate) fn apply(&mut self, event: Event) -> Option<String> {
        let line = self.line(&event);
        self.0.apply(event);
        line
    }

    /// The line for an event, before it is applied.
    fn line(&self, event: &Event) -> Option<String> {
        match event {
            Event::State { status, .. } => Some(format!("checkpoints: {}", status::counts(status))),
            Event::Checkpoint(new) => {
                let detail = detail(self.checkpoint(&new.key()), new);
                Some(line(&new.state.to_string(), &text::name(new), &detail))
            }
            Event::Gone(key) => {
                let old = self.checkpoint(key)?;
                // A file that has been read goes on under its id, and so is not gone.
                let goes_on = |(other, entry): (&EntryKey, &Checkpoint)| match key {
                    EntryKey::Path(path) => other != key && entry.locations.contains(path),
                    EntryKey::Weights(_) => false,
                };
                let is_gone = !self.0.checkpoints.iter().any(goes_on);
                is_gone.then(|| line("gone", &text::name(old), ""))
            }
            Event::Building(building) => {
                let phase = |b: &Building| (b.task, b.weights_id.clone(), b.gpu, b.phase.clone());
                let known: Vec<_> = self.0.building().iter().map(phase).collect();
                let changed = building.iter().filter(|building| !known.contains(&phase(building)));
                let line = |building: &Building| {
                    let task = building.task.to_string();
                    line(&task, &self.name_of(building), &text::clean(&building.phase))
                };
                let lines: Vec<_> = changed.map(line).collect();
                (!lines.is_empty()).then(|| lines.join("\n"))
            }
            Event::Paused(true) => Some("paused".to_owned()),
            Event::Paused(false) => Some("resumed".to_owned()),
            Event::Runtime { runtime, runtime_problem } => {
                let found =
                    runtime.as_ref().map(|found| format!("{} {}", found.flavour, found.version));
                let text = runtime_problem.clone().or(found)?;
                Some(line("TensorRT", &text::clean(&text), ""))
            }
            Event::Troubles(troubles) if troubles.is_empty() => None,
            Event::Troubles(troubles) => {
                Some(line("trouble", &text::clean(&troubles.join("; ")), ""))
            }
            Event::GpuProblem(problem) => {
                problem.as_ref().map(|problem| line("GPUs", &text::clean(problem), ""))
            }
            // `status` shows the rest.
            _ => None,
        }
    }

    /// What goes on, for a progress bar each. The phase comes first, as a long name is cut at
    /// its end.
    pub(crate) fn progress(&self) -> Vec<Progress> {
        let progress = |building: &Building| {
            // Told when the daemon's last word came, and so a little too much at worst.
            let left = progress::left_s(building, building.elapsed_s as f64);
            let left = left.map(|left| format!("{} left", text::duration(left)));
            Progress {
                doing: format!("{:<7}  {}", text::clean(&building.phase), self.name_of(building)),
                percent: building.percent.min(100),
                left: left.unwrap_or_default(),
            }
        };
        self.0.building().iter().map(progress).collect()
    }

    /// A checkpoint by its key.
    pub(crate) fn checkpoint(&self, key: &EntryKey) -> Option<&Checkpoint> {
        self.0.checkpoints.get(key)
    }

    fn name_of(&self, building: &Building) -> String {
        match self.checkpoint(&building.weights_id) {
            Some(checkpoint) => text::name(checkpoint).into_owned(),
            None => building.weights_id.short(),
        }
    }
}

/// One checkpoint as one line: state, name, and the reason, if any.
pub(crate) fn one(checkpoint: &Checkpoint) -> String {
    let reason = text::clean(checkpoint.reason.as_deref().unwrap_or_default());
    line(&checkpoint.state.to_string(), &text::name(checkpoint), &reason)
}

fn line(state: &str, name: &str, detail: &str) -> String {
    // As wide as the longest state, `identifying`.
    format!("{state:<11}  {name}  {detail}").trim_end().to_owned()
}

/// The reason, otherwise what has changed besides the state.
fn detail(old: Option<&Checkpoint>, new: &Checkpoint) -> String {
    let old = old.filter(|old| old.state == new.state);
    match (&new.reason, old) {
        (Some(reason), _) => text::clean(reason).into_owned(),
        (None, Some(old)) if old.locations != new.locations => {
            format!("now at {}", text::clean(&new.locations.join(", ")))
        }
        (None, Some(old)) if old.engines != new.engines => text::count(new.engines.len(), "engine"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use protocol::State;

    use super::*;
    use crate::render::samples;

    fn lines(events: impl IntoIterator<Item = Event>) -> String {
        let mut known = Known::default();
        let line = |event| known.apply(event).map_or("-\n".to_owned(), |line| line + "\n");
        events.into_iter().map(line).collect()
    }

    fn state(checkpoints: Vec<Checkpoint>) -> Event {
        let status = protocol::Status { building: vec![], ..samples::status() };
        Event::State { status: Box::new(status), checkpoints }
    }

    #[test]
    fn the_way_of_a_checkpoint() {
        let path = "/models/a/new.safetensors".to_owned();
        let at = |state| Checkpoint {
            state,
            locations: vec![path.clone()],
            engines: vec![],
            ..samples::ready()
        };
        let unread = |state| Checkpoint { weights_id: None, ..at(state) };
        let phase = |phase: &str, percent| {
            let building = samples::building();
            Event::Building(vec![Building { phase: phase.into(), percent, ..building }])
        };
        let events = [
            state(vec![]),
            Event::Checkpoint(unread(State::Settling)),
            Event::Checkpoint(unread(State::Identifying)),
            Event::Checkpoint(at(State::Queued)),
            Event::Gone(EntryKey::Path(path.clone())),
            Event::Checkpoint(at(State::Building)),
            phase("graph", 0),
            phase("build", 0),
            phase("build", 50),
            Event::Building(vec![]),
            Event::Checkpoint(Checkpoint {
                engines: [samples::engine('e')].map(Arc::new).into(),
                ..at(State::Ready)
            }),
            Event::Checkpoint(samples::ready()),
            Event::Checkpoint(Checkpoint { engines: vec![], ..samples::ready() }),
            Event::Checkpoint(samples::orphaned()),
            Event::Gone(EntryKey::Weights(samples::id('a'))),
            Event::Gone(EntryKey::Weights(samples::id('a'))),
        ];
        insta::assert_snapshot!(lines(events), @r"
        checkpoints: 1 queued, 3 ready
        settling     new.safetensors
        identifying  new.safetensors
        queued       new.safetensors
        -
        building     new.safetensors
        building     new.safetensors  graph
        building     new.safetensors  build
        -
        -
        ready        new.safetensors
        ready        sd15.safetensors  now at /models/a/sd15.safetensors, /models/copy.safetensors
        ready        sd15.safetensors  0 engines
        orphaned     aaaaaaaaaaaa
        gone         aaaaaaaaaaaa
        -
        ");
    }

    #[test]
    fn reasons_and_names_are_cleaned() {
        let mut checkpoint = samples::rejected();
        checkpoint.reason = Some("bad\u{1b}[0m".into());
        insta::assert_snapshot!(one(&checkpoint), @r"rejected     evil\u{1b}]0;x\u{7}.safetensors  bad\u{1b}[0m");
        insta::assert_snapshot!(lines([Event::Checkpoint(checkpoint)]), @r"rejected     evil\u{1b}]0;x\u{7}.safetensors  bad\u{1b}[0m");
    }

    #[test]
    fn the_bar_shows_the_file_that_is_built_for() {
        let mut known = Known::default();
        known.apply(state(vec![]));
        known.apply(Event::Building(vec![samples::building()]));
        let told = |doing: &str| Progress {
            doing: doing.into(),
            percent: 42,
            left: "1 min 11 s left".into(),
        };
        assert_eq!(known.progress(), [told("build    aaaaaaaaaaaa")]);
        known.apply(state(vec![samples::ready()]));
        assert_eq!(known.progress(), []);
        known.apply(Event::Building(vec![samples::building()]));
        assert_eq!(known.progress(), [told("build    sd15.safetensors")]);
    }

    #[test]
    fn a_line_for_what_stops_or_starts_everything() {
        let runtime = |runtime, problem: Option<&str>| Event::Runtime {
            runtime,
            runtime_problem: problem.map(str::to_owned),
        };
        let events = [
            state(vec![]),
            Event::Paused(true),
            Event::Gate(Some("paused".into())),
            Event::Queue(samples::status().queue),
            Event::Paused(false),
            runtime(None, Some("not found")),
            runtime(samples::status().runtime, None),
        ];
        insta::assert_snapshot!(lines(events), @r"
        checkpoints: 1 queued, 3 ready
        paused
        -
        -
        resumed
        TensorRT     not found
        TensorRT     tensorrt-rtx 1.7.1.116
        ");
    }

    #[test]
    fn a_line_for_each_job_that_goes_on() {
        let mut known = Known::default();
        known.apply(state(vec![]));
        let first = samples::building();
        let other = |phase: &str| Building {
            weights_id: EntryKey::Weights(samples::id('b')),
            phase: phase.into(),
            gpu: Some(1),
            ..first.clone()
        };
        let mut apply = |building| known.apply(Event::Building(building)).unwrap_or_default();
        insta::assert_snapshot!(apply(vec![first.clone(), other("load")]), @r"
        building     aaaaaaaaaaaa  build
        building     bbbbbbbbbbbb  load
        ");
        insta::assert_snapshot!(apply(vec![first.clone(), other("prove")]), @"building     bbbbbbbbbbbb  prove");
        insta::assert_snapshot!(apply(vec![first]), @"");
    }
}
