//! Puts a graph together, operator by operator.

use std::collections::{HashMap, HashSet};

use checkpoint::Dtype;

use crate::error::Error;
use crate::form::Form;
use crate::graph::{Attribute, Data, Initializer, Node};
use crate::precision::Precision;
use crate::weights::{Weights, full};

/// A value of the graph, by name.
#[derive(Clone, Debug)]
pub(crate) struct Value(pub(crate) String);

impl Value {
    pub(crate) fn new(name: &str) -> Self {
        Self(name.to_owned())
    }
}

/// Attributes of an operator.
pub(crate) type Attributes<'a> = &'a [(&'static str, Attribute)];

/// A graph in the making.
pub(crate) struct Builder<'a> {
    pub(crate) weights: Weights<'a>,
    pub(crate) precision: Precision,
    pub(crate) form: Form,
    pub(crate) nodes: Vec<Node>,
    pub(crate) initializers: Vec<Initializer>,
    constants: HashSet<String>,
    names: HashMap<String, usize>,
    shared: HashMap<String, Value>,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(weights: Weights<'a>, precision: Precision, form: Form) -> Self {
        Self {
            weights,
            precision,
            form,
            nodes: Vec::new(),
            initializers: Vec::new(),
            constants: HashSet::new(),
            names: HashMap::new(),
            shared: HashMap::new(),
        }
    }

    /// Adds an operator with one output. `at` is the layer, without the UNet's prefix.
    pub(crate) fn op(
        &mut self,
        at: &str,
        operator: &'static str,
        inputs: &[&Value],
        attributes: Attributes<'_>,
    ) -> Value {
        let name = self.unique(format!("{at}/{operator}"));
        self.push(name.clone(), operator, inputs, vec![name.clone()], attributes);
        Value(name)
    }

    /// Splits a value evenly along its second dimension.
    pub(crate) fn split<const N: usize>(&mut self, at: &str, value: &Value) -> [Value; N] {
        let name = self.unique(format!("{at}/Split"));
        let outputs: [String; N] = std::array::from_fn(|index| format!("{name}.{index}"));
        let count = i64::try_from(N).unwrap_or(i64::MAX);
        let attributes = [("axis", Attribute::Int(1)), ("num_outputs", Attribute::Int(count))];
        self.push(name, "Split", &[value], outputs.to_vec(), &attributes);
        outputs.map(Value)
    }

    fn push(
        &mut self,
        name: String,
        operator: &'static str,
        inputs: &[&Value],
        outputs: Vec<String>,
        attributes: Attributes<'_>,
    ) {
        let inputs = inputs.iter().map(|value| value.0.clone()).collect();
        let attributes = attributes.to_vec();
        self.nodes.push(Node { name, operator, inputs, outputs, attributes });
    }

    fn unique(&mut self, name: String) -> String {
        let uses = self.names.entry(name.clone()).or_default();
        *uses += 1;
        if *uses == 1 { name } else { format!("{name}.{uses}") }
    }

    /// The value made by `make` the first time it is asked for under this name.
    pub(crate) fn shared(&mut self, name: &str, make: impl FnOnce(&mut Self) -> Value) -> Value {
        if let Some(value) = self.shared.get(name) {
            return value.clone();
        }
        let value = make(self);
        self.shared.insert(name.to_owned(), value.clone());
        value
    }

    /// A tensor of the checkpoint in the graph's precision, if its shape is the one wanted.
    pub(crate) fn weight(&mut self, name: &str, wanted: &[u64]) -> Result<Value, Error> {
        let tensor = self.weights.take(name, wanted)?;
        let dtype = tensor.dtype;
        if !matches!(dtype, Dtype::F16 | Dtype::Bf16 | Dtype::F32) {
            return Err(Error::Dtype { name: full(name), dtype });
        }
        self.initializers.push(Initializer {
            name: tensor.name.clone(),
            dtype,
            shape: tensor.shape.clone(),
            data: Data::External { offset: tensor.offset, bytes: tensor.bytes },
        });
        let stored = Value::new(&tensor.name);
        if dtype == self.precision.dtype() {
            return Ok(stored);
        }
        Ok(self.cast(name, &stored, self.precision.dtype()))
    }

    pub(crate) fn cast(&mut self, at: &str, value: &Value, to: Dtype) -> Value {
        let to = i64::from(crate::onnx::data_type(to));
        self.op(at, "Cast", &[value], &[("to", Attribute::Int(to))])
    }

    /// A constant of whole numbers, for shapes and indices.
    pub(crate) fn ints(&mut self, name: &str, values: &[i64]) -> Value {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, Dtype::I64, &[values.len() as u64], bytes)
    }

    /// A constant in the graph's precision.
    pub(crate) fn numbers(&mut self, name: &str, shape: &[u64], values: &[f32]) -> Value {
        match self.precision {
            Precision::Fp32 => self.singles(name, shape, values),
            Precision::Fp16 => {
                let halves = values.iter().map(|value| half::f16::from_f32(*value));
                let bytes = halves.flat_map(half::f16::to_le_bytes).collect();
                self.constant(name, Dtype::F16, shape, bytes)
            }
        }
    }

    /// A constant in fp32, whatever the graph's precision.
    pub(crate) fn singles(&mut self, name: &str, shape: &[u64], values: &[f32]) -> Value {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, Dtype::F32, shape, bytes)
    }

    /// Constants of one name have one value, so that a graph has few.
    fn constant(&mut self, name: &str, dtype: Dtype, shape: &[u64], bytes: Vec<u8>) -> Value {
        let name = format!("constant.{name}");
        if self.constants.insert(name.clone()) {
            let (shape, data) = (shape.to_vec(), Data::Inline(bytes));
            self.initializers.push(Initializer { name: name.clone(), dtype, shape, data });
        }
        Value(name)
    }
}
