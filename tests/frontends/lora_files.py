"""Files of every kind of LoRA for a checkpoint's UNet, with random weights: what A1111's own extension reads."""
import json
import struct
from functools import partial

import numpy

PREFIX = "model.diffusion_model."
RANK, SCALE = 4, 0.05
# Of how many layers a file is, evenly chosen, and their largest size: a full-size UNet has more, and a file for all of
# them would be as large as the checkpoint.
MOST_LAYERS, LARGEST = 24, 8 << 20


def write_all(folder, checkpoint):
    """Writes a file of each kind for a checkpoint, which is a safetensors file; returns their names."""
    layers = layers_of(checkpoint)
    for number, (kind, (fits, make)) in enumerate(KINDS.items()):
        draw = partial(numpy.random.default_rng(number).standard_normal, dtype=numpy.float32)
        tensors = {}
        for name, shape in some({name: shape for name, shape in layers.items() if fits(name, shape)}):
            key = "lora_unet_" + name.removesuffix(".weight").replace(".", "_")
            tensors |= {f"{key}.{part}": values for part, values in make(shape, draw).items()}
        write(folder / f"{kind}.safetensors", tensors)
    return list(KINDS)


def layers_of(checkpoint):
    """Returns the shapes of the weights in a checkpoint's UNet."""
    with open(checkpoint, "rb") as file:
        header = json.loads(file.read(*struct.unpack("<Q", file.read(8))))
    return {name.removeprefix(PREFIX): tuple(each["shape"]) for name, each in header.items()
            if name.startswith(PREFIX) and name.endswith(".weight")}


def some(layers):
    """Returns names and shapes of those that a file is for."""
    small = [each for each in layers.items() if numpy.prod(each[1]) <= LARGEST]
    return small[:: -(-len(small) // MOST_LAYERS)] if small else []


def write(path, tensors):
    """Writes a safetensors file."""
    # Newer versions of numpy make doubles of some.
    tensors = {name: values if values.dtype == bool else values.astype("f4") for name, values in tensors.items()}
    header, end = {}, 0
    for name, values in tensors.items():
        begin, end = end, end + values.nbytes
        kind = "BOOL" if values.dtype == bool else "F32"
        header[name] = {"dtype": kind, "shape": list(values.shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for values in tensors.values():
            file.write(numpy.ascontiguousarray(values).tobytes())


def is_attention(name, shape):
    return len(shape) == 2 and ".attn" in name


def is_convolution(name, shape):
    return len(shape) == 4 and ".in_layers.2" in name


def is_either(name, shape):
    return is_attention(name, shape) or is_convolution(name, shape)


def is_norm(name, shape):
    return len(shape) == 1 and ".norm1." in name


def has_no_bias(name, shape):
    return ".attn" in name and ".to_q" in name


def number(value):
    return numpy.array(value, numpy.float32)


def lora(shape, draw):
    up = draw((shape[0], RANK, *[1] * (len(shape) - 2))) * SCALE
    return {"lora_up.weight": up, "lora_down.weight": draw((RANK, *shape[1:])) * SCALE, "alpha": number(RANK)}


def lora_a_b(shape, draw):
    return {"lora_B.weight": draw((shape[0], RANK)) * SCALE, "lora_A.weight": draw((RANK, shape[1])) * SCALE}


def dora(shape, draw):
    return lora(shape, draw) | {"dora_scale": 1 + abs(draw((1, shape[1])))}


def loha(shape, draw):
    sides = {"a": (shape[0], RANK), "b": (RANK, int(numpy.prod(shape[1:])))}
    return {f"hada_w{n}_{side}": draw(size) * SCALE**0.5 for n in (1, 2) for side, size in sides.items()}


def lokr(shape, draw):
    rest = (shape[0] // 4, shape[1] // 4, *shape[2:])
    return {"lokr_w1": draw((4, 4)) * SCALE, "lokr_w2": draw(rest) * SCALE**0.5}


def oft(shape, draw):
    return {"oft_blocks": draw((4, shape[0] // 4, shape[0] // 4)) * 0.02, "alpha": number(1)}


def boft(shape, draw):
    return {"oft_blocks": draw((2, shape[0] // 4, 4, 4)) * 0.02, "alpha": number(1)}


def diff(shape, draw):
    # The more inputs a layer has, the smaller are its weights.
    return {"diff": draw(shape) * SCALE * (64 / numpy.prod(shape[1:])) ** 0.5}


def diff_with_bias(shape, draw):
    return diff(shape, draw) | {"diff_b": draw(shape[:1]) * SCALE}


def norm(shape, draw):
    return {"w_norm": draw(shape) * SCALE, "b_norm": draw(shape) * SCALE}


def glora(shape, draw):
    side = {"a1": (RANK, shape[1]), "a2": (shape[1], RANK), "b1": (RANK, shape[1]), "b2": (shape[0], RANK)}
    return {f"{name}.weight": draw(size) * SCALE for name, size in side.items()} | {"alpha": number(RANK)}


def ia3(shape, draw):
    return {"weight": draw(shape[:1]) * SCALE, "on_input": numpy.array(False)}


# For which layers, and their tensors. A web UI that is too old for a kind ignores it.
KINDS = {
    "LoRA": (is_attention, lora),
    "LoRA of convolutions": (is_convolution, lora),
    "LoRA with A and B": (is_attention, lora_a_b),
    "LoHa": (is_either, loha),
    "LoKr": (is_either, lokr),
    "OFT": (is_attention, oft),
    "BOFT": (is_attention, boft),
    "DoRA": (is_attention, dora),
    "GLoRA": (is_attention, glora),
    "IA3": (is_attention, ia3),
    "diff": (is_either, diff),
    "diff with a bias": (is_convolution, diff_with_bias),
    "norm": (is_norm, norm),
    "a bias that the UNet has not": (has_no_bias, diff_with_bias),
}
# PyTorch computes with these.
NOT_SERVED = ("a bias that the UNet has not",)
