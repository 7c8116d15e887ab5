//! What people and front ends want.

pub(crate) mod left_shapes;
pub(crate) mod shaping;
