//! A reader for the pickles that torch writes.
//!
//! A pickle is a program for a stack machine, and Python's machine may call anything. This one
//! calls nothing: it knows the few names that checkpoints use, keeps what describes tensors and
//! forgets the rest. Values are small and hold handles instead of each other, so that neither
//! nesting nor cycles cost recursion, and every count is limited: with the bytes of the pickle
//! (8 MiB at most) a reading stays below 64 MB.
//!
//! Source: CPython's `Lib/pickletools.py` for the instructions.

mod global;
mod input;
mod literal;
mod machine;
mod opcode;
#[cfg(test)]
mod tests;
mod value;

pub(crate) use machine::read;
pub(crate) use value::{Pickle, Value, View};
