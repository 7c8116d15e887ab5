//! The engines that are there, and what was found of them.

pub(crate) mod kept;
pub(crate) mod proofs;
pub(crate) mod unusable;

pub(crate) use proofs::Proofs;
pub(crate) use unusable::Unusables;
