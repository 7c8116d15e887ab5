"""Rewrites the graph of a shared engine, to measure forms that the crate `unet` doesn't write.

The graph is that of `sdtrtctl export --weights-as-inputs`; a rewriting is a name with groups of convolutions, as
`gemm:64down,8`. Weights may become other inputs: `fill` in trials.py makes them from the same checkpoint.

cast:GROUPS       these convolutions between casts to fp32
gemm:GROUPS       as a product of the shifted pixels side by side, between casts: TensorRT-RTX sums it in fp32
half-gemm:GROUPS  the same without casts: what the product costs when it is summed in fp16
split2:, split4:  the input channels in two or four parts, whose products are added: shorter sums in fp16
linear:KINDS      linear layers summed in fp32: `ff` the second of each feed-forward, `rest` all others
kv                keys and values of the text as inputs
shifts            what residual blocks add from the time step as inputs
silu              GroupNormalization and SiLU both between the same casts to fp32
norms             norms without casts
"""
import re

import numpy as np
from onnx import TensorProto, helper, numpy_helper

FP32, FP16 = TensorProto.FLOAT, TensorProto.FLOAT16
# The greatest end of a slice.
ALL = 2**31 - 1

# Each convolution of SD 1.x is in the first group that its name matches; by the latent's side at 512 pixels. `of_name`
# takes the beginnings of their names too.
GROUPS = {
    "64down-1": r"input_blocks\.1\.0\.(in_layers\.2|out_layers\.3)",
    "64down-2": r"input_blocks\.2\.0\.(in_layers\.2|out_layers\.3)",
    "64up-in": r"output_blocks\.(9|10|11)\.0\.in_layers\.2",
    "64up-out": r"output_blocks\.(9|10|11)\.0\.out_layers\.3",
    "64resize": r"output_blocks\.8\.2\.conv",
    "first": r"input_blocks\.0\.0",
    "last": r"out\.2",
    "32down": r"input_blocks\.[45]\.0\.(in_layers\.2|out_layers\.3)",
    "32up-in": r"output_blocks\.[678]\.0\.in_layers\.2",
    "32up-out": r"output_blocks\.[678]\.0\.out_layers\.3",
    "32resize": r"output_blocks\.5\.2\.conv",
    "16down": r"input_blocks\.[78]\.0\.(in_layers\.2|out_layers\.3)",
    "16up-in": r"output_blocks\.[345]\.0\.in_layers\.2",
    "16up-out": r"output_blocks\.[345]\.0\.out_layers\.3",
    "16resize": r"output_blocks\.2\.1\.conv",
    "8": r"(input_blocks\.(10|11)|middle_block|output_blocks\.[012])(\.[02])?\.0?\.?(in_layers\.2|out_layers\.3)",
    "halved-64": r"input_blocks\.3\.0\.op",
    "halved-32": r"input_blocks\.6\.0\.op",
    "halved-16": r"input_blocks\.9\.0\.op",
    "skip-64-wide": r"output_blocks\.9\.0\.skip_connection",
    "skip-64": r"output_blocks\.(10|11)\.0\.skip_connection",
    "skip-32": r"output_blocks\.[678]\.0\.skip_connection",
    "skip-16": r"output_blocks\.[345]\.0\.skip_connection",
    "skip-8": r"output_blocks\.[012]\.0\.skip_connection",
    "skip-down": r"input_blocks\.[47]\.0\.skip_connection",
    "proj": r".*\.proj_(in|out)",
}


def of_name(name):
    """Returns the groups of this name, or those whose names begin with it: `skip` are all that begin with `skip-`."""
    found = {name} if name in GROUPS else {group for group in GROUPS if group.startswith(f"{name}-")}
    if not found:
        raise SystemExit(f"no such group: {name}")
    return found


class Rewriting:
    """A model being rewritten; nodes are replaced where they are, so that their order stays valid."""

    def __init__(self, model):
        self.model, self.graph = model, model.graph
        self.inputs = {value.name: value for value in self.graph.input}
        # Inputs that are cut from a weight: name → (weight, part, parts).
        self.cut = {}
        # Inputs that another engine or the caller computes.
        self.given = []
        self.instead = {}

    def finish(self):
        nodes = [new for node in self.graph.node for new in self.instead.get(node.name, [node])]
        nodes = alive(nodes, {value.name for value in self.graph.output})
        used = {name for node in nodes for name in node.input}
        del self.graph.node[:]
        self.graph.node.extend(nodes)
        kept = [value for value in self.graph.input if value.name in used]
        del self.graph.input[:]
        self.graph.input.extend(kept)
        return self.model

    def constant(self, name, values):
        if name not in {each.name for each in self.graph.initializer}:
            self.graph.initializer.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def producer(self, value):
        return next(node for node in self.graph.node if value in node.output)

    def shape(self, name):
        return [each.dim_value for each in self.inputs[name].type.tensor_type.shape.dim]

    def convolutions(self):
        """Yields (node, group, name of its weight's input)."""
        for node in self.graph.node:
            if node.op_type == "Conv":
                at = node.name.removesuffix("/Conv")
                group = next(name for name, pattern in GROUPS.items() if re.fullmatch(pattern, at))
                weight = node.input[1]
                yield node, group, weight if weight in self.inputs else self.producer(weight).input[0]


def alive(nodes, wanted):
    """Returns the nodes whose outputs are used."""
    kept, wanted = [], set(wanted)
    for node in reversed(nodes):
        if wanted & set(node.output):
            kept.append(node)
            wanted |= set(node.input)
    return kept[::-1]


class Writer:
    """Writes the nodes that replace one."""

    def __init__(self, rewriting, at):
        self.rewriting, self.at, self.nodes = rewriting, at, []

    def __call__(self, operator, *inputs, output=None, **attributes):
        name = f"{self.at}~{len(self.nodes)}{operator}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output or name], name=name, **attributes))
        return output or name

    def constant(self, *values):
        return self.rewriting.constant("constant~" + ".".join(map(str, values)), values)

    def per_channel(self, bias):
        return self("Reshape", bias, self.constant(1, -1, 1, 1))


def attribute(node, name):
    return next(list(each.ints) for each in node.attribute if each.name == name)


def cast(rewriting, node, _):
    write = Writer(rewriting, node.name)
    wide = write("Conv", *(write("Cast", value, to=FP32) for value in node.input[:2]))
    wide_node = write.nodes[-1]
    wide_node.attribute.extend(node.attribute)
    narrow = write("Cast", wide, to=FP16)
    write("Add", narrow, write.per_channel(node.input[2]), output=node.output[0])
    return write.nodes


def gemm(rewriting, node, weight, wide=True):
    """Pixels channels last, beside each other those that a kernel covers; then one product."""
    write, shape = Writer(rewriting, node.name), rewriting.shape(weight)
    # A pointwise kernel's weight is [O, I, 1, 1], others' are [O, H, W, I].
    outputs, side = shape[0], shape[1] if shape[-1] > 1 else 1
    channels = int(np.prod(shape[1:]))
    (stride, _), (pad, *_) = attribute(node, "strides"), attribute(node, "pads")
    pixels = write("Transpose", node.input[0], perm=[0, 2, 3, 1])
    if pad:
        pixels = write("Pad", pixels, write.constant(0, pad, pad, 0, 0, pad, pad, 0))
    if side > 1:
        ends = [offset + 1 - side or ALL for offset in range(side)]
        shifted = [
            write("Slice", pixels, write.constant(y, x), write.constant(ends[y], ends[x]), write.constant(1, 2),
                  write.constant(stride, stride))
            for y in range(side) for x in range(side)
        ]
        pixels = write("Concat", *shifted, axis=3)
    shape = write("Concat", write("Slice", write("Shape", pixels), write.constant(0), write.constant(3)),
                  write.constant(outputs), axis=0)
    rows = write("Reshape", pixels, write.constant(-1, channels))
    matrix = write("Reshape", weight, write.constant(outputs, channels))
    if wide:
        rows, matrix = (write("Cast", value, to=FP32) for value in (rows, matrix))
        product = write("Cast", write("Gemm", rows, matrix, transB=1), to=FP16)
        product = write("Add", product, node.input[2])
    else:
        product = write("Gemm", rows, matrix, node.input[2], transB=1)
    write("Transpose", write("Reshape", product, shape), perm=[0, 3, 1, 2], output=node.output[0])
    return write.nodes


def half_gemm(rewriting, node, weight):
    return gemm(rewriting, node, weight, wide=False)


def split(parts):
    def replace(rewriting, node, weight):
        write, shape = Writer(rewriting, node.name), rewriting.shape(weight)
        last = shape[-1] > 1
        channels = shape[-1] if last else shape[1]
        if channels % (parts * 8):
            return [node]
        each, total = channels // parts, None
        shape[-1 if last else 1] = each
        for part in range(parts):
            name = f"{weight}~{part}/{parts}"
            rewriting.cut[name] = (weight, part, parts)
            rewriting.graph.input.append(helper.make_tensor_value_info(name, FP16, shape))
            pixels = write("Slice", node.input[0], write.constant(part * each), write.constant((part + 1) * each),
                           write.constant(1))
            kernel = write("Transpose", name, perm=[0, 3, 1, 2]) if last else name
            bias = [node.input[2]] if part == 0 else []
            product = write("Conv", pixels, kernel, *bias)
            write.nodes[-1].attribute.extend(node.attribute)
            end = node.output[0] if part == parts - 1 else None
            total = product if total is None else write("Add", total, product, output=end)
        return write.nodes

    return replace


CONVOLUTIONS = {"cast": cast, "gemm": gemm, "half-gemm": half_gemm, "split2": split(2), "split4": split(4)}


def linear(rewriting, kinds):
    for node in rewriting.graph.node:
        if node.op_type == "Gemm" and ("ff" if node.name.endswith("ff.net.2/Gemm") else "rest") in kinds:
            write = Writer(rewriting, node.name)
            rows, matrix = (write("Cast", value, to=FP32) for value in node.input[:2])
            wide = write("Gemm", rows, matrix, transB=1)
            bias = node.input[2:]
            narrow = write("Cast", wide, to=FP16, output=None if bias else node.output[0])
            if bias:
                write("Add", narrow, bias[0], output=node.output[0])
            rewriting.instead[node.name] = write.nodes


def give(rewriting, name):
    """Makes the outputs of a Split of a product inputs. `alive` removes what computed them."""
    for node in rewriting.graph.node:
        if node.op_type == "Split" and name in node.name:
            weight = rewriting.producer(node.input[0]).input[1]
            sizes = next(each for each in rewriting.graph.initializer if each.name == node.input[1])
            rows = "batch" if name == "emb_layers" else "batch*tokens"
            for output, size in zip(node.output, numpy_helper.to_array(sizes)):
                rewriting.graph.input.append(helper.make_tensor_value_info(output, FP16, [rows, int(size)]))
                rewriting.given.append((output, weight, rows))
            rewriting.instead[node.name] = []


def silu(rewriting):
    nodes = {node.name: node for node in rewriting.graph.node}
    for node in nodes.values():
        at = node.name.removesuffix("/Sigmoid")
        norm = nodes.get(f"{at}/GroupNormalization")
        if node.op_type == "Sigmoid" and norm is not None:
            write = Writer(rewriting, node.name)
            product = nodes[f"{at}/Mul"]
            wide = norm.output[0]
            write("Cast", write("Mul", wide, write("Sigmoid", wide)), to=FP16, output=product.output[0])
            rewriting.instead[product.name] = write.nodes
            rewriting.instead[node.name] = rewriting.instead[f"{at}/Cast.4"] = []


def norms(rewriting):
    casts = {node.output[0]: node.input[0] for node in rewriting.graph.node if node.op_type == "Cast"}
    for node in rewriting.graph.node:
        if node.op_type in ("GroupNormalization", "LayerNormalization"):
            after = next(each for each in rewriting.graph.node if node.output[0] in each.input)
            new = helper.make_node(node.op_type, [casts[value] for value in node.input], after.output, name=node.name)
            new.attribute.extend(node.attribute)
            rewriting.instead[node.name], rewriting.instead[after.name] = [new], []


def rewrite(model, names):
    """Applies rewritings, joined by `+`, to the model. Returns what was rewritten, with the inputs that are new."""
    rewriting = Rewriting(model)
    for each in filter(None, names.split("+")):
        kind, _, of = each.partition(":")
        of = of.split(",")
        if kind in CONVOLUTIONS:
            wanted = set(GROUPS) if of == ["all"] else set().union(*map(of_name, of))
            for node, group, weight in rewriting.convolutions():
                if group in wanted:
                    rewriting.instead[node.name] = CONVOLUTIONS[kind](rewriting, node, weight)
        elif kind == "linear":
            linear(rewriting, of)
        elif kind in ("kv", "shifts"):
            give(rewriting, {"kv": "attn2.to_k+to_v", "shifts": "emb_layers"}[kind])
        elif kind in ("silu", "norms"):
            {"silu": silu, "norms": norms}[kind](rewriting)
        elif kind != "default":
            raise SystemExit(f"no such rewriting: {kind}")
    rewriting.finish()
    return rewriting
