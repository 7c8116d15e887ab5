//! Scenarios: the whole daemon with a simulated machine, event by event.

mod cards;
mod coverage;
mod gate;
mod gpus;
mod hashing;
mod index;
mod measure;
mod metrics;
mod orders;
mod retention;
mod shapes;
mod sharing;
mod stage;
mod times;
mod troubles;
mod validation;
mod watching;
mod workers;
