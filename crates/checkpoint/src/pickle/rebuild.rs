//! What calls of allowed names yield: dicts, storages and tensors.

use super::{
    global::Global,
    machine::{Done, Machine, Made, handle},
    value::{Rebuilt, Storage, StoredView, Value},
};

impl<'a> Machine<'a> {
    /// What a call yields.
    pub(super) fn result(&mut self, called: Global, arguments: Value<'a>) -> Made<'a> {
        match (called, self.made.sequence(arguments).unwrap_or_default()) {
            (Global::Inert, _) => Ok(Value::Opaque),
            (Global::OrderedDict, []) => self.dict(Vec::new()),
            (Global::OrderedDict, &[pairs]) => self.dict_of(pairs),
            // Of an object that is not a tensor, nothing is ever read.
            (Global::Same, &[value, ..]) => Ok(value),
            (Global::RebuildTensor, &[storage, offset, shape, strides]) => {
                self.view(storage, Value::None, [offset, shape, strides, Value::None])
            }
            (Global::RebuildTensor, &[storage, offset, shape, strides, _, _, ref rest @ ..]) => {
                let bits = rest.first().copied().unwrap_or(Value::None);
                self.view(storage, Value::None, [offset, shape, strides, bits])
            }
            (
                Global::RebuildTyped,
                &[storage, offset, shape, strides, _, _, dtype, ref rest @ ..],
            ) => {
                let bits = rest.first().copied().unwrap_or(Value::None);
                self.view(storage, dtype, [offset, shape, strides, bits])
            }
            (Global::RebuildQuantized, &[storage, offset, shape, strides, ..]) => {
                self.view(storage, Value::None, [offset, shape, strides, Value::None])
            }
            (Global::RebuildMeta, &[_, shape, ..]) => self.tensor(Rebuilt::Meta { shape }),
            (Global::RebuildOf(kind), _) => self.tensor(Rebuilt::Of { kind, parts: arguments }),
            (Global::RebuildFromType, &[Value::Global(called), _, arguments, ..])
                // It calls no other of its kind, so that this does not nest.
                if called != Global::RebuildFromType =>
            {
                self.result(called, arguments)
            }
            _ => Err(self.bad("a call with the wrong arguments")),
        }
    }

    fn view(
        &mut self,
        storage: Value<'a>,
        dtype: Value<'a>,
        [offset, shape, strides, bits]: [Value<'a>; 4],
    ) -> Made<'a> {
        let dtype = match dtype {
            Value::Global(Global::Dtype(dtype)) => Some(dtype),
            Value::None => None,
            _ => return Err(self.bad("a dtype of the wrong type")),
        };
        let (Value::Storage(storage), Value::Int(offset)) = (storage, offset) else {
            return Err(self.bad("a tensor without storage"));
        };
        let offset = u64::try_from(offset).map_err(|_| self.bad("a negative offset"))?;
        self.tensor(Rebuilt::View(StoredView { storage, dtype, offset, shape, strides, bits }))
    }

    fn tensor(&mut self, tensor: Rebuilt<'a>) -> Made<'a> {
        let tensors = &mut self.made.tensors;
        let handle = handle(tensors.len(), "tensors")?;
        tensors.push(tensor);
        Ok(Value::Tensor(handle))
    }

    /// `('storage', class, key, location, count)`, in the format of before torch 1.6 with a part of it,
    /// `(key, offset, count)` or `None`: the only forms of torch's persistent ids that hold weights.
    pub(super) fn storage(&mut self) -> Done {
        let id = self.pop()?;
        let fields = self.made.sequence(id).unwrap_or_default();
        let &[
            Value::Text("storage"),
            Value::Global(Global::Storage(dtype)),
            Value::Text(key),
            _,
            Value::Int(count),
            ref part @ ..,
        ] = fields
        else {
            return Err(self.bad("a persistent id without a storage"));
        };
        let (skipped, count) = match part {
            [] | [Value::None] => (0, count),
            [part] => match self.made.sequence(*part) {
                Some(&[_, Value::Int(offset), Value::Int(count)]) => (offset, count),
                _ => return Err(self.bad("a part of a storage of the wrong type")),
            },
            _ => return Err(self.bad("a persistent id without a storage")),
        };
        let [skipped, count] = [skipped, count].map(u64::try_from);
        let (Ok(skipped), Ok(count)) = (skipped, count) else {
            return Err(self.bad("a storage of negative size"));
        };
        let handle = handle(self.made.storages.len(), "storages")?;
        self.made.storages.push(Storage { dtype, key, count, skipped });
        self.push(Value::Storage(handle))
    }

    /// An OrderedDict as Python 2 writes it: from a list of pairs.
    fn dict_of(&mut self, pairs: Value<'a>) -> Made<'a> {
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
}
