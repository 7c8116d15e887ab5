//! The stack machine.

use super::{
    global,
    input::Input,
    literal::literal,
    opcode as op,
    value::{Pickle, Value},
};
use crate::rejection::Rejection;

/// The most values in tuples, lists and dicts. SDXL with its optimizer's state has 200,000.
const ITEMS: usize = 1 << 19;
/// The most values in the memo.
const MEMO: usize = 1 << 18;
/// The most lists, dicts, storages and tensors, each.
const OBJECTS: usize = 1 << 16;
/// The most values and marks on the stack, each.
const STACK: usize = 1 << 17;

/// Reads a pickle, from its first byte to its STOP.
pub(crate) fn read(bytes: &[u8]) -> Result<Pickle<'_>, Rejection> {
    let mut machine = Machine {
        input: Input::new(bytes),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: Vec::new(),
        items: 0,
        made: Pickle {
            top: Value::None,
            len: 0,
            protocol: 2,
            unknown_to_a1111: None,
            pool: Vec::new(),
            lists: Vec::new(),
            dicts: Vec::new(),
            storages: Vec::new(),
            tensors: Vec::new(),
        },
    };
    loop {
        machine.input.begin();
        let [opcode] = *machine.input.take::<1>()?;
        if opcode == op::STOP {
            machine.made.top = machine.pop()?;
            machine.made.len = machine.input.read();
            return Ok(machine.made);
        }
        machine.step(opcode)?;
    }
}

pub(super) struct Machine<'a> {
    input: Input<'a>,
    stack: Vec<Value<'a>>,
    /// The stack heights at the marks.
    marks: Vec<usize>,
    memo: Vec<Option<Value<'a>>>,
    /// Values in containers so far.
    items: usize,
    pub(super) made: Pickle<'a>,
}

pub(super) type Done = Result<(), Rejection>;
pub(super) type Made<'a> = Result<Value<'a>, Rejection>;

impl<'a> Machine<'a> {
    fn step(&mut self, opcode: u8) -> Done {
        match opcode {
            op::PROTO => self.proto(),
            op::FRAME => self.input.take::<8>().map(drop),
            op::MARK | op::POP_MARK | op::POP | op::DUP => self.shuffle(opcode),
            op::BINPUT | op::LONG_BINPUT | op::MEMOIZE | op::BINGET | op::LONG_BINGET => {
                self.remember(opcode)
            }
            op::GLOBAL | op::STACK_GLOBAL => self.global(opcode),
            op::REDUCE | op::NEWOBJ => self.call(),
            op::BINPERSID => self.storage(),
            // An object's attributes, which contain no weights.
            op::BUILD => self.pop().map(drop),
            op::EMPTY_TUPLE | op::TUPLE | op::TUPLE1 | op::TUPLE2 | op::TUPLE3 => {
                self.tuple(opcode)
            }
            op::EMPTY_DICT => self.dict(Vec::new()).and_then(|dict| self.push(dict)),
            op::SETITEM | op::SETITEMS => self.set_items(opcode),
            op::EMPTY_LIST | op::APPEND | op::APPENDS => self.list(opcode),
            op::EMPTY_SET | op::ADDITEMS | op::FROZENSET => self.set(opcode),
            _ => {
                let value = literal(&mut self.input, opcode)?;
                self.push(value)
            }
        }
    }

    fn proto(&mut self) -> Done {
        match self.input.take::<1>()? {
            [protocol @ 2..=5] => {
                self.made.protocol = *protocol;
                Ok(())
            }
            _ => Err(self.bad("unknown protocol")),
        }
    }

    fn shuffle(&mut self, opcode: u8) -> Done {
        match opcode {
            op::MARK => {
                limit(self.marks.len(), STACK, "marks")?;
                self.marks.push(self.stack.len());
                Ok(())
            }
            op::POP_MARK => self.since_mark().map(drop),
            op::DUP => self.top().and_then(|value| self.push(value)),
            _ => self.pop().map(drop),
        }
    }

    fn remember(&mut self, opcode: u8) -> Done {
        let index = match opcode {
            op::BINPUT | op::BINGET => u8::from_le_bytes(*self.input.take()?).into(),
            op::MEMOIZE => self.memo.len(),
            _ => u32::from_le_bytes(*self.input.take()?) as usize,
        };
        if matches!(opcode, op::BINGET | op::LONG_BINGET) {
            let value = self.memo.get(index).copied().flatten();
            let value = value.ok_or_else(|| self.bad("no memo entry"))?;
            return self.push(value);
        }
        limit(index, MEMO, "memo entries")?;
        let value = self.top()?;
        if self.memo.len() <= index {
            self.memo.resize(index + 1, None);
        }
        self.memo[index] = Some(value);
        Ok(())
    }

    fn global(&mut self, opcode: u8) -> Done {
        let (module, name) = if opcode == op::GLOBAL {
            (self.input.line()?, self.input.line()?)
        } else {
            match (self.pop()?, self.pop()?) {
                (Value::Text(name), Value::Text(module)) => (module, name),
                _ => return Err(self.bad("a name that is not a string")),
            }
        };
        // Cut short: it may be as long as the file.
        let full = || format!("{module}.{name}").chars().take(200).collect();
        let Some(global) = global::lookup(module, name) else {
            return Err(Rejection::ForbiddenGlobal { name: full() });
        };
        if self.made.unknown_to_a1111.is_none() && !global::is_known_to_a1111(module, name) {
            self.made.unknown_to_a1111 = Some(full());
        }
        self.push(Value::Global(global))
    }

    fn call(&mut self) -> Done {
        let arguments = self.pop()?;
        let Value::Global(called) = self.pop()? else {
            return Err(self.bad("a call of something that is not a function"));
        };
        let Value::Tuple(..) = arguments else {
            return Err(self.bad("a call without arguments"));
        };
        let value = self.result(called, arguments)?;
        self.push(value)
    }

    fn tuple(&mut self, opcode: u8) -> Done {
        let items = match opcode {
            op::EMPTY_TUPLE => Vec::new(),
            op::TUPLE => self.since_mark()?,
            _ => self.last(usize::from(opcode - op::TUPLE1) + 1)?,
        };
        self.count(items.len())?;
        let start = self.made.pool.len();
        self.made.pool.extend(items);
        // The pool is at most ITEMS long.
        self.push(Value::Tuple(start as u32, self.made.pool.len() as u32))
    }

    pub(super) fn dict(&mut self, items: Vec<(Value<'a>, Value<'a>)>) -> Made<'a> {
        let handle = handle(self.made.dicts.len(), "dicts")?;
        self.made.dicts.push(items);
        Ok(Value::Dict(handle))
    }

    fn set_items(&mut self, opcode: u8) -> Done {
        let items = if opcode == op::SETITEM { self.last(2)? } else { self.since_mark()? };
        let (pairs, []) = items.as_chunks::<2>() else {
            return Err(self.bad("a key without a value"));
        };
        self.count(items.len())?;
        match self.top()? {
            Value::Dict(handle) => {
                let dict = self.made.dicts.get_mut(handle as usize);
                dict.into_iter()
                    .for_each(|dict| dict.extend(pairs.iter().map(|&[key, value]| (key, value))));
                Ok(())
            }
            Value::Opaque => Ok(()),
            _ => Err(self.bad("items for something that is not a dict")),
        }
    }

    fn list(&mut self, opcode: u8) -> Done {
        if opcode == op::EMPTY_LIST {
            let handle = handle(self.made.lists.len(), "lists")?;
            self.made.lists.push(Vec::new());
            return self.push(Value::List(handle));
        }
        let items = if opcode == op::APPEND { self.last(1)? } else { self.since_mark()? };
        self.count(items.len())?;
        match self.top()? {
            Value::List(handle) => {
                let list = self.made.lists.get_mut(handle as usize);
                list.into_iter().for_each(|list| list.extend_from_slice(&items));
                Ok(())
            }
            Value::Opaque => Ok(()),
            _ => Err(self.bad("items for something that is not a list")),
        }
    }

    fn set(&mut self, opcode: u8) -> Done {
        if opcode != op::EMPTY_SET {
            self.since_mark()?;
        }
        if opcode == op::ADDITEMS { self.top().map(drop) } else { self.push(Value::Opaque) }
    }

    pub(super) fn push(&mut self, value: Value<'a>) -> Done {
        limit(self.stack.len(), STACK, "values on its stack")?;
        self.stack.push(value);
        Ok(())
    }

    /// The index of the first value above the latest mark.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    pub(super) fn pop(&mut self) -> Result<Value<'a>, Rejection> {
        let value = self.top()?;
        self.stack.pop();
        Ok(value)
    }

    fn top(&self) -> Result<Value<'a>, Rejection> {
        let above = self.stack.get(self.floor()..).and_then(<[_]>::last);
        above.copied().ok_or_else(|| self.bad("its stack is empty"))
    }

    fn last(&mut self, count: usize) -> Result<Vec<Value<'a>>, Rejection> {
        let at = self.stack.len().checked_sub(count).filter(|at| *at >= self.floor());
        at.map(|at| self.stack.split_off(at)).ok_or_else(|| self.bad("its stack is empty"))
    }

    fn since_mark(&mut self) -> Result<Vec<Value<'a>>, Rejection> {
        let mark = self.marks.pop().ok_or_else(|| self.bad("a mark is missing"))?;
        // Nothing is popped below a mark, so it is within the stack.
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    pub(super) fn count(&mut self, items: usize) -> Done {
        self.items = self.items.saturating_add(items);
        limit(self.items, ITEMS, "items")
    }

    pub(super) fn bad(&self, reason: &'static str) -> Rejection {
        self.input.bad(reason)
    }
}

fn limit(count: usize, limit: usize, what: &'static str) -> Done {
    if count < limit {
        Ok(())
    } else {
        Err(Rejection::PickleTooLarge { what, limit: limit as u64 })
    }
}

/// The handle of the next object of its type.
pub(super) fn handle(len: usize, what: &'static str) -> Result<u32, Rejection> {
    limit(len, OBJECTS, what)?;
    Ok(len as u32)
}
