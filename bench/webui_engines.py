"""Engines of two profiles, as the daemon's index tells of them."""
import hashlib
import json
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from safetensors.torch import load_file, save_file

import engine
from goldens import inputs
from measure import TOKENS
from unet import UNet, load_weights

# Least, usual and greatest latent side, batch and pieces of 77 tokens. The second serves what the first
# does not.
SMALL = {"side": (5, 16, 24), "batch": (1, 2, 3), "pieces": (1, 1, 2)}
LARGE = {"side": (5, 32, 64), "batch": (1, 2, 6), "pieces": (1, 1, 3)}
FULL_SIZE = {
    "sd15": ({"side": (64, 64, 96), "batch": (1, 2, 8), "pieces": (1, 1, 2)}, LARGE | {"side": (64, 96, 128)}),
    "sdxl": ({"side": (96, 128, 128), "batch": (1, 2, 8), "pieces": (1, 1, 2)},),
}


class Subject:
    """A checkpoint in a folder, its UNet, and an engine of one kind."""

    def __init__(self, folder, golden, kind):
        self.folder, self.kind = folder, kind
        self.checkpoint = folder / "weights.safetensors"
        self.manifest = golden and json.loads(golden.read_text())
        self.expected = golden and golden.with_suffix(".expected.safetensors")
        self.profiles = (SMALL, LARGE) if golden else FULL_SIZE.get(folder.name, (SMALL, LARGE))
        weights = load_weights(self.checkpoint)
        self.in_channels = weights["input_blocks.0.0.weight"].shape[1]
        self.context_width = next(
            tensor.shape[1] for name, tensor in weights.items() if name.endswith("attn2.to_k.weight")
        )
        self.y_width = weights["label_emb.0.0.weight"].shape[1] if "label_emb.0.0.weight" in weights else None
        what = json.dumps([engine.VERSION, kind, self.profiles, (folder / "default.onnx").stat().st_mtime])
        self.id = hashlib.sha256(f"{folder.name} {what}".encode()).hexdigest()
        self.plan = folder / f"{kind}-{self.id[:12]}.plan"
        self.constants = folder / "constants.safetensors"

    def __str__(self):
        return f"{self.folder.name}, {self.kind} engine"

    def build(self, compute_capabilities):
        """Builds the engine unless it is there. Returns what it took, for people."""
        onnx_file = self.folder / "default.onnx"
        if self.kind == "shared":
            save_file(constants(onnx_file), self.constants)
        if self.plan.exists():
            return "it was before"
        profiles = [self.shapes(profile) for profile in self.profiles]
        seconds = engine.build(onnx_file, self.plan, profiles, compute_capabilities, self.kind == "shared")
        return f"{seconds:.1f} s, {self.plan.stat().st_size / 1e6:.1f} MB"

    def shapes(self, profile):
        """Least, usual and greatest shape of each input."""
        triples = zip(*(profile[name] for name in ("side", "batch", "pieces")))
        each = [self.shape(batch, side, side, TOKENS * pieces) for side, batch, pieces in triples]
        return {name: [shapes[name] for shapes in each] for name in each[0]}

    def shape(self, batch, height, width, tokens):
        shapes = {
            "sample": (batch, self.in_channels, height, width),
            "timesteps": (batch,),
            "encoder_hidden_states": (batch, tokens, self.context_width),
        }
        return shapes if self.y_width is None else shapes | {"y": (batch, self.y_width)}

    def index(self, socket="/nowhere"):
        """The daemon's index with this engine alone."""
        pixels = lambda side: [8 * latent for latent in side]
        found = {
            "id": self.id,
            "kind": self.kind,
            "plan": str(self.plan),
            "tensorrt": engine.VERSION,
            "compute_capabilities": [],
            "precision": "fp16",
            "state": "unproven",
            "relative_error": None,
            "profiles": [
                {
                    "preset": f"profile {number}",
                    "width": pixels(profile["side"]),
                    "height": pixels(profile["side"]),
                    "batch": profile["batch"],
                    "tokens": [TOKENS * pieces for pieces in profile["pieces"]],
                }
                for number, profile in enumerate(self.profiles)
            ],
        }
        if self.kind == "shared":
            found["constants"] = str(self.constants)
        name = hashlib.sha256(self.folder.name.encode()).hexdigest()
        checkpoint = {
            "id": name,
            "unet": name,
            "architecture": self.folder.name,
            "locations": [str(self.checkpoint)],
            "engines": [found],
        }
        return json.dumps({"version": 1, "socket": socket, "checkpoints": [checkpoint]})

    def torch_unet(self, dtype, device):
        return UNet(load_weights(self.checkpoint, device, dtype), "sdpa")

    def case(self, batch, height, width, tokens, seed=0):
        """Inputs as A1111 1.10 hands them over: fp16, with steps between whole numbers."""
        generator = torch.Generator().manual_seed(seed)
        fill = lambda shape: torch.randn(shape, generator=generator).to("cuda", torch.float16)
        case = {name: fill(shape) for name, shape in self.shape(batch, height, width, tokens).items()}
        return case | {"timesteps": torch.linspace(980.25, 3.5, batch, device="cuda")}

    def golden_cases(self):
        """The fixture's inputs and the outputs to expect."""
        expected = load_file(self.expected)
        for number, case in enumerate(inputs(self.manifest)):
            half = {n: t.cuda() if n == "timesteps" else t.half().cuda() for n, t in case.items()}
            yield half, expected[f"{number}.latent"].cuda()


def constants(path):
    """The tensors that stand in the ONNX file itself."""
    graph = onnx.load(str(path), load_external_data=False).graph
    inside = (tensor for tensor in graph.initializer if tensor.data_location != onnx.TensorProto.EXTERNAL)
    return {tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy()) for tensor in inside}
