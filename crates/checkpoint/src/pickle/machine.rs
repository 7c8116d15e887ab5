//! The stack machine.

use super::{
    global::{self, Global},
    input::Input,
    literal::literal,
    opcode as op,
    value::{Pickle, Storage, Value, View},
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
            return Ok(machine.made);
        }
        machine.step(opcode)?;
    }
}

struct Machine<'a> {
    input: Input<'a>,
    stack: Vec<Value<'a>>,
    /// The stack heights at the marks.
    marks: Vec<usize>,
    memo: Vec<Option<Value<'a>>>,
    /// Values in containers so far.
    items: usize,
    made: Pickle<'a>,
}

type Done = Result<(), Rejection>;

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
            op::EMPTY_DICT => self.dict(Vec::new()),
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
            [2..=5] => Ok(()),
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
        let Some(global) = global::lookup(module, name) else {
            // Cut short: it may be as long as the file.
            let name = format!("{module}.{name}").chars().take(200).collect();
            return Err(Rejection::ForbiddenGlobal { name });
        };
        self.push(Value::Global(global))
    }

    fn call(&mut self) -> Done {
        let arguments = self.pop()?;
        let Value::Global(called) = self.pop()? else {
            return Err(self.bad("a call of something that is not a function"));
        };
        let arguments = match arguments {
            Value::Tuple(..) => self.made.sequence(arguments).unwrap_or_default(),
            _ => return Err(self.bad("a call without arguments")),
        };
        match (called, arguments) {
            (Global::Inert, _) => self.push(Value::Opaque),
            (Global::OrderedDict, []) => self.dict(Vec::new()),
            (Global::OrderedDict, &[pairs]) => self.dict_of(pairs),
            (Global::RebuildParameter, &[tensor @ Value::Tensor(_), ..]) => self.push(tensor),
            (Global::RebuildTensor, &[storage, offset, shape, strides, ..]) => {
                self.view(storage, offset, shape, strides, Value::None)
            }
            (Global::RebuildTyped, &[storage, offset, shape, strides, _, _, dtype, ..]) => {
                self.view(storage, offset, shape, strides, dtype)
            }
            _ => Err(self.bad("a call with the wrong arguments")),
        }
    }

    fn view(
        &mut self,
        storage: Value<'a>,
        offset: Value<'a>,
        shape: Value<'a>,
        strides: Value<'a>,
        dtype: Value<'a>,
    ) -> Done {
        let dtype = match dtype {
            Value::Global(Global::Dtype(dtype)) => Some(dtype),
            Value::None => None,
            _ => return Err(self.bad("a dtype of the wrong type")),
        };
        let (Value::Storage(storage), Value::Int(offset)) = (storage, offset) else {
            return Err(self.bad("a tensor without storage"));
        };
        let offset = u64::try_from(offset).map_err(|_| self.bad("a negative offset"))?;
        let tensors = &mut self.made.tensors;
        let handle = handle(tensors.len(), "tensors")?;
        tensors.push(View { storage, dtype, offset, shape, strides });
        self.push(Value::Tensor(handle))
    }

    /// `('storage', class, key, location, count)`: the only form of torch's persistent ids.
    fn storage(&mut self) -> Done {
        let id = self.pop()?;
        let fields = self.made.sequence(id).unwrap_or_default();
        let &[
            Value::Text("storage"),
            Value::Global(Global::Storage(dtype)),
            Value::Text(key),
            _,
            Value::Int(count),
        ] = fields
        else {
            return Err(self.bad("a persistent id without a storage"));
        };
        let count = u64::try_from(count).map_err(|_| self.bad("a storage of negative size"))?;
        let handle = handle(self.made.storages.len(), "storages")?;
        self.made.storages.push(Storage { dtype, key, count });
        self.push(Value::Storage(handle))
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

    fn dict(&mut self, items: Vec<(Value<'a>, Value<'a>)>) -> Done {
        let handle = handle(self.made.dicts.len(), "dicts")?;
        self.made.dicts.push(items);
        self.push(Value::Dict(handle))
    }

    /// An OrderedDict as Python 2 writes it: from a list of pairs.
    fn dict_of(&mut self, pairs: Value<'a>) -> Done {
        let len = self.made.sequence(pairs).unwrap_or_default().len();
        self.count(len.saturating_mul(2))?;
        let pair = |value: &Value<'a>| match self.made.sequence(*value)? {
            &[key, value] => Some((key, value)),
            _ => None,
        };
        let items = self.made.sequence(pairs).and_then(|pairs| pairs.iter().map(pair).collect());
        let items = items.ok_or_else(|| self.bad("a dict from something other than pairs"))?;
        self.dict(items)
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

    fn push(&mut self, value: Value<'a>) -> Done {
        limit(self.stack.len(), STACK, "values on its stack")?;
        self.stack.push(value);
        Ok(())
    }

    /// The index of the first value above the latest mark.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<Value<'a>, Rejection> {
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

    fn count(&mut self, items: usize) -> Done {
        self.items = self.items.saturating_add(items);
        limit(self.items, ITEMS, "items")
    }

    fn bad(&self, reason: &'static str) -> Rejection {
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
fn handle(len: usize, what: &'static str) -> Result<u32, Rejection> {
    limit(len, OBJECTS, what)?;
    Ok(len as u32)
}
