//! Writes a graph as an ONNX file.

mod proto;

use checkpoint::Dtype;
use prost::Message;

use crate::graph::{Attribute, Data, Dimension, Graph, Initializer, Input, Node};
use proto::{
    AttributeProto, AttributeType, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorProto, TensorShapeProto, TensorType, TypeProto, ValueInfoProto,
    dimension,
};

/// `data_location` of a tensor whose bytes are in another file.
const EXTERNAL: i32 = 1;

/// The version of the ONNX format that introduced an operator set.
fn ir_version(opset: i64) -> i64 {
    if opset > 22 { 11 } else { 10 }
}

/// `TensorProto.DataType` of a type; 0, UNDEFINED, for what ONNX does not have.
pub(crate) fn data_type(dtype: Dtype) -> i32 {
    match dtype {
        Dtype::F32 => 1,
        Dtype::U8 => 2,
        Dtype::I8 => 3,
        Dtype::U16 => 4,
        Dtype::I16 => 5,
        Dtype::I32 => 6,
        Dtype::I64 => 7,
        Dtype::Bool => 9,
        Dtype::F16 => 10,
        Dtype::F64 => 11,
        Dtype::U32 => 12,
        Dtype::U64 => 13,
        Dtype::C64 => 14,
        Dtype::C128 => 15,
        Dtype::Bf16 => 16,
        Dtype::F8E4M3 => 17,
        Dtype::F8E4M3Fnuz => 18,
        Dtype::F8E5M2 => 19,
        Dtype::F8E5M2Fnuz => 20,
        Dtype::F4 => 23,
        Dtype::F8E8M0 => 24,
        Dtype::F6E2M3 | Dtype::F6E3M2 | Dtype::C32 | Dtype::Other(_) => 0,
    }
}

pub(crate) fn encode(graph: &Graph, weights_file: &str) -> Vec<u8> {
    let initializer = graph.initializers.iter().map(|i| tensor(i, weights_file)).collect();
    let model = ModelProto {
        ir_version: ir_version(graph.opset),
        producer_name: env!("CARGO_PKG_NAME").to_owned(),
        producer_version: crate::RECIPE.to_string(),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: graph.opset }],
        graph: Some(GraphProto {
            name: "unet".to_owned(),
            node: graph.nodes.iter().map(node).collect(),
            initializer,
            input: graph.inputs.iter().map(value_info).collect(),
            output: vec![value_info(&graph.output)],
        }),
    };
    model.encode_to_vec()
}

fn tensor(initializer: &Initializer, weights_file: &str) -> TensorProto {
    let mut tensor = TensorProto {
        dims: initializer.shape.iter().map(|dim| dim.cast_signed()).collect(),
        data_type: Some(data_type(initializer.dtype)),
        name: initializer.name.clone(),
        ..TensorProto::default()
    };
    match &initializer.data {
        Data::Inline(bytes) => tensor.raw_data = Some(bytes.clone()),
        Data::External { offset, bytes } => {
            let entry =
                |key: &str, value: String| StringStringEntryProto { key: key.to_owned(), value };
            tensor.data_location = Some(EXTERNAL);
            tensor.external_data = vec![
                entry("location", weights_file.to_owned()),
                entry("offset", offset.to_string()),
                entry("length", bytes.to_string()),
            ];
        }
    }
    tensor
}

fn node(node: &Node) -> NodeProto {
    NodeProto {
        input: node.inputs.clone(),
        output: node.outputs.clone(),
        name: node.name.clone(),
        op_type: node.operator.to_owned(),
        attribute: node.attributes.iter().map(|(name, value)| attribute(name, value)).collect(),
    }
}

fn attribute(name: &str, value: &Attribute) -> AttributeProto {
    let mut proto = AttributeProto { name: name.to_owned(), ..AttributeProto::default() };
    let kind = match value {
        Attribute::Float(value) => {
            proto.f = Some(*value);
            AttributeType::Float
        }
        Attribute::Int(value) => {
            proto.i = Some(*value);
            AttributeType::Int
        }
        Attribute::Ints(values) => {
            proto.ints.clone_from(values);
            AttributeType::Ints
        }
        Attribute::Text(text) => {
            proto.s = Some(text.as_bytes().to_vec());
            AttributeType::String
        }
    };
    proto.r#type = kind as i32;
    proto
}

fn value_info(input: &Input) -> ValueInfoProto {
    let dim = |dimension: &Dimension| dimension::Dimension {
        value: Some(match dimension {
            Dimension::Fixed(size) => dimension::Value::DimValue(size.cast_signed()),
            Dimension::Dynamic(name) => dimension::Value::DimParam((*name).to_owned()),
        }),
    };
    let shape = TensorShapeProto { dim: input.dimensions.iter().map(dim).collect() };
    let tensor_type = TensorType { elem_type: data_type(input.dtype), shape: Some(shape) };
    ValueInfoProto {
        name: input.name.clone(),
        r#type: Some(TypeProto { tensor_type: Some(tensor_type) }),
    }
}
