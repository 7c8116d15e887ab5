//! The global names that a checkpoint's pickle may use.

use crate::tensor::Dtype;

/// The meaning of a global name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Global {
    /// `collections.OrderedDict`.
    OrderedDict,
    /// `torch._utils._rebuild_tensor`, and `_rebuild_tensor_v2`, which has more arguments.
    RebuildTensor,
    /// `torch._utils._rebuild_tensor_v3`: like v2, with the dtype as its seventh argument.
    RebuildTyped,
    /// `torch._utils._rebuild_qtensor`: a quantized one.
    RebuildQuantized,
    /// `torch._utils._rebuild_meta_tensor_no_storage`: a shape without data.
    RebuildMeta,
    /// What makes a tensor of others: `torch._utils._rebuild_sparse_tensor` and the like, and its kind.
    RebuildOf(&'static str),
    /// What stands for its first argument: a parameter for its tensor, a size for its tuple.
    Same,
    /// `torch._tensor._rebuild_from_type_v2`: calls its first argument with its third.
    RebuildFromType,
    /// A storage class; `None` for an untyped one.
    Storage(Option<Dtype>),
    /// A dtype.
    Dtype(Dtype),
    /// Allowed but irrelevant: calling it yields a value that is never read.
    Inert,
}

/// Looks up a global name; `None` if it is not allowed.
///
/// The list is A1111's (`modules/safe.py`) and torch's (`_weights_only_unpickler.py`), without what would build
/// tensors from numpy's memory.
pub(crate) fn lookup(module: &str, name: &str) -> Option<Global> {
    Some(match (module, name) {
        ("collections", "OrderedDict") => Global::OrderedDict,
        ("torch._utils", name) => return rebuild(name),
        ("torch._tensor", "_rebuild_from_type_v2") => Global::RebuildFromType,
        ("torch.nn.parameter", "Parameter") => Global::Same,
        ("torch" | "torch.storage", "UntypedStorage") => Global::Storage(None),
        ("torch" | "torch.cuda", name) if name.ends_with("Storage") => {
            let class = name.strip_suffix("Storage")?;
            return storage(class).map(|dtype| Global::Storage(Some(dtype)));
        }
        ("torch", name) => return torch(name),
        ("torch.cuda" | "torch.sparse" | "torch.cuda.sparse", name) if is_tensor_class(name) => {
            Global::Inert
        }
        ("torch.storage", "TypedStorage") => Global::Inert,
        ("collections", "Counter")
        | ("torch.serialization", "_get_layout")
        | ("torch.nn.modules.container", "ParameterDict")
        | ("builtins" | "__builtin__", "set" | "bytearray" | "complex")
        | ("numpy", "dtype" | "ndarray")
        | ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar" | "_reconstruct")
        | ("_codecs", "encode")
        | ("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint") => Global::Inert,
        _ => return None,
    })
}

/// Whether A1111 1.10's own check of torch files allows a name.
pub(crate) fn is_known_to_a1111(module: &str, name: &str) -> bool {
    match module {
        "collections" => name == "OrderedDict",
        "torch._utils" => matches!(name, "_rebuild_tensor_v2" | "_rebuild_parameter"),
        "torch" => {
            let class = name.strip_suffix("Storage").unwrap_or_default();
            let classes = ["Float", "Half", "Int", "Long", "Double", "Byte", "BFloat16"];
            classes.contains(&class) || name == "float32"
        }
        "builtins" => false,
        // Python unpickles protocol 2 with the names of Python 2; only this one has another in Python 3.
        "__builtin__" => name == "set",
        "torch.nn.modules.container" | "numpy" | "numpy.core.multiarray" | "_codecs" => true,
        "pytorch_lightning.callbacks.model_checkpoint" => true,
        _ => false,
    }
}

fn rebuild(name: &str) -> Option<Global> {
    Some(match name {
        "_rebuild_tensor" | "_rebuild_tensor_v2" => Global::RebuildTensor,
        "_rebuild_tensor_v3" => Global::RebuildTyped,
        "_rebuild_qtensor" => Global::RebuildQuantized,
        "_rebuild_meta_tensor_no_storage" => Global::RebuildMeta,
        "_rebuild_sparse_tensor" => Global::RebuildOf("SPARSE"),
        "_rebuild_nested_tensor" => Global::RebuildOf("NESTED"),
        "_rebuild_wrapper_subclass" => Global::RebuildOf("WRAPPED"),
        "_rebuild_parameter"
        | "_rebuild_parameter_with_state"
        | "_rebuild_device_tensor_from_cpu_tensor" => Global::Same,
        _ => return None,
    })
}

/// What is in the module `torch`, besides its storages.
fn torch(name: &str) -> Option<Global> {
    Some(match name {
        "Size" => Global::Same,
        "Tensor"
        | "device"
        | "per_tensor_affine"
        | "per_tensor_symmetric"
        | "per_channel_affine"
        | "per_channel_symmetric"
        | "per_channel_affine_float_qparams" => Global::Inert,
        _ if is_tensor_class(name) => Global::Inert,
        _ => return dtype(name).map(Global::Dtype),
    })
}

/// `torch.FloatTensor` and the like.
fn is_tensor_class(name: &str) -> bool {
    let class = name.strip_suffix("Tensor").unwrap_or_default();
    let classes =
        ["Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool"];
    classes.contains(&class)
}

/// Bytes of an element in a storage.
pub(crate) fn size(dtype: Dtype) -> u64 {
    match dtype.name() {
        "QINT32" => 4,
        "BITS16" => 2,
        _ => dtype.size(),
    }
}

fn storage(class: &str) -> Option<Dtype> {
    Some(match class {
        "Double" => Dtype::F64,
        "Float" => Dtype::F32,
        "Half" => Dtype::F16,
        "BFloat16" => Dtype::Bf16,
        "ComplexDouble" => Dtype::C128,
        "ComplexFloat" => Dtype::C64,
        "Long" => Dtype::I64,
        "Int" => Dtype::I32,
        "Short" => Dtype::I16,
        "Char" => Dtype::I8,
        "Byte" => Dtype::U8,
        "Bool" => Dtype::Bool,
        "QInt32" => return Dtype::named("QINT32"),
        "QInt8" => return Dtype::named("QINT8"),
        "QUInt8" => return Dtype::named("QUINT8"),
        "QUInt4x2" => return Dtype::named("QUINT4X2"),
        "QUInt2x4" => return Dtype::named("QUINT2X4"),
        _ => return None,
    })
}

fn dtype(name: &str) -> Option<Dtype> {
    Some(match name {
        "float64" => Dtype::F64,
        "float32" => Dtype::F32,
        "float16" => Dtype::F16,
        "bfloat16" => Dtype::Bf16,
        "float8_e4m3fn" => Dtype::F8E4M3,
        "float8_e5m2" => Dtype::F8E5M2,
        "float8_e4m3fnuz" => Dtype::F8E4M3Fnuz,
        "float8_e5m2fnuz" => Dtype::F8E5M2Fnuz,
        "float8_e8m0fnu" => Dtype::F8E8M0,
        "float4_e2m1fn_x2" => Dtype::F4,
        "complex128" => Dtype::C128,
        "complex64" => Dtype::C64,
        "complex32" => Dtype::C32,
        "int64" => Dtype::I64,
        "int32" => Dtype::I32,
        "int16" => Dtype::I16,
        "int8" => Dtype::I8,
        "uint64" => Dtype::U64,
        "uint32" => Dtype::U32,
        "uint16" => Dtype::U16,
        "uint8" => Dtype::U8,
        "bool" => Dtype::Bool,
        _ => return Dtype::named(odd(name)?),
    })
}

/// Types that only torch has.
fn odd(dtype: &str) -> Option<&'static str> {
    Some(match dtype {
        "qint32" => "QINT32",
        "qint8" => "QINT8",
        "quint8" => "QUINT8",
        "quint4x2" => "QUINT4X2",
        "quint2x4" => "QUINT2X4",
        "bits16" => "BITS16",
        "bits8" | "bits4x2" | "bits2x4" | "bits1x8" => "BITS",
        "uint1" | "uint2" | "uint3" | "uint4" | "uint5" | "uint6" | "uint7" => "UINT",
        "int1" | "int2" | "int3" | "int4" | "int5" | "int6" | "int7" => "INT",
        _ => return None,
    })
}
