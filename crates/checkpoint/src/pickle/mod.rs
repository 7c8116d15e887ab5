//! A reader for the pickles that torch writes.
//!
//! A pickle is a program for a stack machine, and Python's machine may call anything. This one calls nothing:
//! it knows the few names that checkpoints use, keeps what describes tensors and drops the rest. Values are
//! small and have handles instead of references, so neither nesting nor cycles cause recursion, and every
//! count is limited: with the pickle itself (8 MiB at most), reading takes less than 64 MB.
//!
//! Source of the instructions: CPython's `Lib/pickletools.py`.

mod global;
mod input;
mod literal;
mod machine;
mod opcode;
mod rebuild;
#[cfg(test)]
mod tests;
mod value;

pub(crate) use global::size;
pub(crate) use machine::read;
pub(crate) use value::{Pickle, Rebuilt, StoredView, Value};
