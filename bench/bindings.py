"""Builds graphs whose weights are inputs, with other bindings than the crate `unet`, to measure what each choice
brings. A binding is a list of inputs as in an engine's manifest: `name`, `parts`, `layout`.
"""
from collections import defaultdict

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

PREFIX = "model.diffusion_model."
# The products that can be joined because they share their input rows, by a part of their weights' names.
JOINABLE = {"qkv": ".attn1.to_", "kv": ".attn2.to_", "shifts": ".emb_layers."}
# Whether 3×3 convolution weights are channels last, and which products are joined.
VARIANTS = {
    "as in torch": (False, ()),
    "channels last": (True, ()),
    "joined": (False, ("qkv", "kv", "shifts")),
    "channels last, q k v": (True, ("qkv",)),
    "channels last, q k v, shifts": (True, ("qkv", "shifts")),
    "channels last, all joined": (True, ("qkv", "kv", "shifts")),
}


def bind(graph, variant):
    """Returns an ONNX model with the weights of `graph` as inputs, and its binding."""
    channels_last, joined = VARIANTS[variant]
    model = onnx.ModelProto()
    model.CopyFrom(graph)
    nodes = list(model.graph.node)
    weights = {i.name: tuple(i.dims) for i in model.graph.initializer if i.external_data}
    constants = [i for i in model.graph.initializer if not i.external_data]
    binding, inputs, before, instead, gone = [], [], [], {}, set()

    def add(name, shape, parts, layout="plain"):
        binding.append({"name": name, "parts": [p.removeprefix(PREFIX) for p in parts], "layout": layout})
        inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT16, shape))

    for kind, rows, members in groups(nodes, weights, joined):
        name = f"{kind}.{len(instead)}"
        sizes = [weights[node.input[1]][0] for node in members]
        add(name, [sum(sizes), weights[members[0].input[1]][1]], [node.input[1] for node in members])
        operands = [rows, name]
        if len(members[0].input) > 2:
            add(f"{name}.bias", [sum(sizes)], [node.input[2] for node in members])
            operands.append(f"{name}.bias")
        constants.append(numpy_helper.from_array(np.array(sizes, np.int64), f"{name}.sizes"))
        outputs = [node.output[0] for node in members]
        instead[members[0].name] = [
            helper.make_node("Gemm", operands, [f"{name}.all"], name=name, transB=1),
            helper.make_node("Split", [f"{name}.all", f"{name}.sizes"], outputs, name=f"{name}.split", axis=1),
        ]
        gone.update(node.name for node in members)
    kept = [node for node in nodes if node.name not in gone]
    used = {value for node in kept for value in node.input}
    for name, shape in weights.items():
        if name not in used:
            continue
        if channels_last and len(shape) == 4 and shape[2] > 1:
            outputs, channels, height, width = shape
            add(f"{name}.last", [outputs, height, width, channels], [name], "ohwi")
            before.append(helper.make_node("Transpose", [f"{name}.last"], [name], name=f"{name}.t", perm=[0, 3, 1, 2]))
        else:
            add(name, shape, [name])
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(before)
    for node in nodes:
        model.graph.node.extend(instead.get(node.name, [] if node.name in gone else [node]))
    model.graph.initializer.extend(constants)
    model.graph.input.extend(inputs)
    return model, binding


def groups(nodes, weights, joined):
    """Returns (kind, input rows, products) of each group to join."""
    found = defaultdict(list)
    for node in nodes:
        if node.op_type != "Gemm" or node.input[1] not in weights or ".to_out." in node.input[1]:
            continue
        for kind in joined:
            if JOINABLE[kind] in node.input[1] and not (kind == "kv" and ".to_q." in node.input[1]):
                found[kind, node.input[0]].append(node)
    return [(kind, rows, members) for (kind, rows), members in found.items() if len(members) > 1]


def fill(binding, weights):
    """Returns the input tensors by name; those of `weights` themselves where the layout is the same."""

    def tensor(bound):
        parts = [weights[part] for part in bound["parts"]]
        if bound["layout"] == "ohwi":
            return parts[0].permute(0, 2, 3, 1).contiguous()
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    return {bound["name"]: tensor(bound) for bound in binding}
