//! Builds a graph, operator by operator.

use std::collections::{HashMap, HashSet};

use checkpoint::Dtype;

use crate::binding::{Bound, Layout};
use crate::error::Error;
use crate::form::Form;
use crate::graph::{Attribute, Data, Initializer, Input, Node};
use crate::precision::Precision;
use crate::residual::Residual;
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

/// Which graph of a UNet to build.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Variant {
    /// The choice of operators.
    pub(crate) form: Form,
    /// Weights are inputs of the graph instead of initializers.
    pub(crate) shared: bool,
    /// It has inputs for what ControlNets add.
    pub(crate) residuals: bool,
}

impl Variant {
    /// Weights as inputs, in the default form.
    pub(crate) fn shared() -> Self {
        Self { shared: true, ..Self::default() }
    }
}

/// A graph under construction.
pub(crate) struct Builder<'a> {
    pub(crate) weights: Weights<'a>,
    pub(crate) precision: Precision,
    pub(crate) form: Form,
    /// Weights are inputs of the graph instead of initializers.
    pub(crate) shared: bool,
    pub(crate) nodes: Vec<Node>,
    pub(crate) initializers: Vec<Initializer>,
    pub(crate) weight_inputs: Vec<Input>,
    pub(crate) bound: Vec<Bound>,
    /// The inputs that are added to skip connections and the middle block; `None` if there are to be none.
    pub(crate) residuals: Option<Vec<Residual>>,
    constants: HashSet<String>,
    names: HashMap<String, usize>,
    made: HashMap<String, Value>,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(
        weights: Weights<'a>,
        precision: Precision,
        Variant { form, shared, residuals }: Variant,
    ) -> Self {
        Self {
            weights,
            precision,
            form,
            shared,
            residuals: residuals.then(Vec::new),
            nodes: Vec::new(),
            initializers: Vec::new(),
            weight_inputs: Vec::new(),
            bound: Vec::new(),
            constants: HashSet::new(),
            names: HashMap::new(),
            made: HashMap::new(),
        }
    }

    /// Adds an operator with one output. `at` is the layer's name, without the UNet's prefix.
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

    /// Splits a value into `N` equal parts along its second dimension.
    pub(crate) fn split<const N: usize>(&mut self, at: &str, value: &Value) -> [Value; N] {
        let count = i64::try_from(N).unwrap_or(i64::MAX);
        let attributes = [("axis", Attribute::Int(1)), ("num_outputs", Attribute::Int(count))];
        let mut outputs = self.op_of_many(at, "Split", &[value], N, &attributes).into_iter();
        std::array::from_fn(|_| outputs.next().unwrap_or_else(|| value.clone()))
    }

    /// Adds an operator with `count` outputs.
    pub(crate) fn op_of_many(
        &mut self,
        at: &str,
        operator: &'static str,
        inputs: &[&Value],
        count: usize,
        attributes: Attributes<'_>,
    ) -> Vec<Value> {
        let name = self.unique(format!("{at}/{operator}"));
        let outputs: Vec<_> = (0..count).map(|index| format!("{name}.{index}")).collect();
        self.push(name, operator, inputs, outputs.clone(), attributes);
        outputs.into_iter().map(Value).collect()
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

    /// Returns the value of this name; `make` builds it the first time.
    pub(crate) fn once(&mut self, name: &str, make: impl FnOnce(&mut Self) -> Value) -> Value {
        if let Some(value) = self.made.get(name) {
            return value.clone();
        }
        let value = make(self);
        self.made.insert(name.to_owned(), value.clone());
        value
    }

    /// Adds a tensor of the model, cast to the graph's precision. Fails unless it has the shape `wanted`.
    pub(crate) fn weight(&mut self, name: &str, wanted: &[u64]) -> Result<Value, Error> {
        let tensor = self.weights.take(name, wanted)?;
        if self.shared {
            return Ok(self.bound(name, wanted, vec![name.to_owned()], Layout::Plain));
        }
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

    /// A constant of integers, for shapes and indices.
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

    /// Adds a constant, once for each name.
    fn constant(&mut self, name: &str, dtype: Dtype, shape: &[u64], bytes: Vec<u8>) -> Value {
        let name = format!("constant.{name}");
        if self.constants.insert(name.clone()) {
            let (shape, data) = (shape.to_vec(), Data::Inline(bytes));
            self.initializers.push(Initializer { name: name.clone(), dtype, shape, data });
        }
        Value(name)
    }
}
