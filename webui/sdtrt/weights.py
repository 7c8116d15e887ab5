"""The tensors that a shared engine is filled with."""
from __future__ import annotations

from safetensors import safe_open

PREFIX = "model.diffusion_model."
# How checkpoints call a tensor of the UNet: as it is, one level down, or in a file of the UNet alone.
SPELLINGS = (lambda name: name, lambda name: f"state_dict.{name}", lambda name: name[len(PREFIX):])


class Missing(Exception):
    """A tensor that an engine needs is nowhere."""


class SafeTensors:
    """A .safetensors file, which stays open: moved or deleted, its tensors are still there."""

    def __init__(self, path):
        self.path = path
        self.file = safe_open(str(path), "pt", device="cpu")
        self.names = set(self.file.keys())

    def get(self, name):
        return self.file.get_tensor(name)

    def release(self):
        """Nothing is held."""


class StateDict:
    """A .ckpt, read by the web UI's own reader, which takes all of the memory that the checkpoint
    takes: given back by `release`, and read again when it is needed."""

    def __init__(self, path, read):
        self.path = path
        self.read = read
        self.tensors = None

    @property
    def names(self):
        return self._read().keys()

    def get(self, name):
        return self._read()[name]

    def _read(self):
        if self.tensors is None:
            self.tensors = self.read(self.path)
        return self.tensors

    def release(self):
        self.tensors = None


def open_checkpoint(path, read_state_dict):
    """The tensors of a checkpoint. `read_state_dict(path)` reads what is no .safetensors."""
    if str(path).lower().endswith(".safetensors"):
        return SafeTensors(path)
    return StateDict(path, read_state_dict)


class Weights:
    """Every weight of an engine by the name it is refitted by: tensors of the checkpoint, and
    constants of the graph."""

    def __init__(self, checkpoint, constants=None):
        self.sources = [checkpoint, *([SafeTensors(constants)] if constants else [])]

    def __call__(self, name):
        """The tensor, on the CPU, in the type it is stored in."""
        for source in self.sources:
            for spelling in SPELLINGS:
                if spelling(name) in source.names:
                    return source.get(spelling(name))
        raise Missing(f"{self.sources[0].path} has no {name}, which the engine needs")

    def release(self):
        """Gives back memory; what was handed out stays."""
        for source in self.sources:
            source.release()
