//! The global names that a checkpoint's pickle may use.

use crate::tensor::Dtype;

/// The meaning of a global name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Global {
    /// `collections.OrderedDict`.
    OrderedDict,
    /// `torch._utils._rebuild_tensor_v2`.
    RebuildTensor,
    /// `torch._utils._rebuild_tensor_v3`: like v2, with the dtype as its last argument.
    RebuildTyped,
    /// `torch._utils._rebuild_parameter`.
    RebuildParameter,
    /// A storage class; `None` for an untyped one.
    Storage(Option<Dtype>),
    /// A dtype.
    Dtype(Dtype),
    /// Allowed but irrelevant: calling it yields a value that is never read.
    Inert,
}

/// Looks up a global name; `None` if it is not allowed.
///
/// The list is A1111's (`modules/safe.py`), without what would build tensors from numpy's memory, and with
/// all of torch's storages and dtypes.
pub(crate) fn lookup(module: &str, name: &str) -> Option<Global> {
    Some(match (module, name) {
        ("collections", "OrderedDict") => Global::OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2") => Global::RebuildTensor,
        ("torch._utils", "_rebuild_tensor_v3") => Global::RebuildTyped,
        ("torch._utils", "_rebuild_parameter") => Global::RebuildParameter,
        ("torch" | "torch.storage", "UntypedStorage") => Global::Storage(None),
        ("torch", name) => return torch(name),
        ("torch.nn.modules.container", "ParameterDict")
        | ("builtins" | "__builtin__", "set")
        | ("numpy", "dtype" | "ndarray")
        | ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar" | "_reconstruct")
        | ("_codecs", "encode")
        | ("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint") => Global::Inert,
        _ => return None,
    })
}

fn torch(name: &str) -> Option<Global> {
    if let Some(class) = name.strip_suffix("Storage") {
        return storage(class).map(|dtype| Global::Storage(Some(dtype)));
    }
    dtype(name).map(Global::Dtype)
}

fn storage(class: &str) -> Option<Dtype> {
    Some(match class {
        "Double" => Dtype::F64,
        "Float" => Dtype::F32,
        "Half" => Dtype::F16,
        "BFloat16" => Dtype::Bf16,
        "Long" => Dtype::I64,
        "Int" => Dtype::I32,
        "Short" => Dtype::I16,
        "Char" => Dtype::I8,
        "Byte" => Dtype::U8,
        "Bool" => Dtype::Bool,
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
        "int64" => Dtype::I64,
        "int32" => Dtype::I32,
        "int16" => Dtype::I16,
        "int8" => Dtype::I8,
        "uint64" => Dtype::U64,
        "uint32" => Dtype::U32,
        "uint16" => Dtype::U16,
        "uint8" => Dtype::U8,
        "bool" => Dtype::Bool,
        _ => return None,
    })
}
