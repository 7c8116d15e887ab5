//! The shapes that front ends ask for, and those that get an engine of their own.

use checkpoint::Id;
use protocol::{Failure, Reply, Shape};

use crate::{
    api::requests::other,
    event_loop::Actor,
    intent::left_shapes,
    inventory::Identity,
    planner::{InUse, snapshot::World, usual},
    retention::garbage::seconds_since_1970,
};

impl World {
    /// The shapes of such UNets that get an engine of their own.
    pub(crate) fn chosen_shapes(&self, identity: &Identity) -> Vec<Shape> {
        let in_use = self.intent.shapes().get(&identity.signature);
        let usual = usual(identity.architecture.kind);
        let nothing = InUse::default();
        in_use.unwrap_or(&nothing).chosen(&usual, self.config.fixed_engines)
    }

    /// Takes in that these shapes are used; whether others get an engine now.
    fn use_shapes(&mut self, signature: Id, shapes: &[Shape]) -> bool {
        let limit = self.config.fixed_engines;
        let is_news = self.intent.record_shapes(signature, shapes, limit, seconds_since_1970());
        if is_news {
            self.forget_desired();
        }
        is_news
    }
}

impl Actor {
    /// Notes what a front end was asked for.
    pub(crate) fn note_shapes(
        &mut self,
        signature: &str,
        shapes: &[Shape],
    ) -> Result<Reply, Failure> {
        let signature = signature.parse().map_err(|error| other(&format!("{error}")))?;
        if let Some(problem) = shapes.iter().find_map(Shape::problem) {
            return Err(other(&problem));
        }
        self.use_shapes(signature, shapes);
        Ok(Reply::Noted)
    }

    /// Takes in what front ends were asked for while nobody listened.
    pub(crate) fn take_in_shapes(&mut self) {
        for (signature, shapes) in left_shapes::take(&self.world.config.data_dir.join("shapes")) {
            self.use_shapes(signature, &shapes);
        }
    }

    fn use_shapes(&mut self, signature: Id, shapes: &[Shape]) {
        if self.world.use_shapes(signature, shapes) {
            self.refresh_soon();
        }
        self.learned();
    }
}
