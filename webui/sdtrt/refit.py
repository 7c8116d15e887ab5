"""Filling an engine with weights, all or some."""
from __future__ import annotations

import torch

from . import lora
from .engine import EngineError
from .tensorrt import LOGGER, dtype_of, trt

PLACES = {"cpu": trt.TensorLocation.HOST, "cuda": trt.TensorLocation.DEVICE}


class Refit:
    """An engine whose weights follow a checkpoint's and the LoRAs on top of them.

    `weights` gives each tensor of the checkpoint, or constant of the graph, by its name."""

    def __init__(self, engine, weights):
        self.engine = engine
        self.weights = weights
        refitter = trt.Refitter(engine, LOGGER)
        names = refitter.get_all_weights()
        self.prototypes = {name: refitter.get_weights_prototype(name) for name in names}
        self.layers = lora.layers(names)
        self.layer_of = {
            name: layer for layer, parts in self.layers.items() for name in parts.values()
        }
        # What is in the engine now: LoRAs, and the layers that they have changed.
        self.loras = ()
        self.changed = set()
        self.left_out = 0
        # All of them: the constants too, which TensorRT leaves out of what it calls missing.
        self._put(names, ())

    def follow(self, networks):
        """Makes the weights those of these LoRAs, at the cost of the layers that change, and returns how
        often one did not fit a layer, which is then left as it is. Raises lora.Unsupported before anything
        was changed; after any other error nobody knows which weights the engine has, and it is to be
        thrown away."""
        state = lora.state(networks)
        if state == self.loras:
            return 0
        strange = lora.strange(self.layers, networks)
        if strange:
            raise lora.Unsupported(f"a LoRA changes {min(strange)}, which the engine does not have")
        affected = lora.affected(self.layers, networks)
        names = [
            name for layer in affected | self.changed for name in self.layers[layer].values()
        ]
        self.left_out = 0
        if names:
            self._put(names, networks)
        self.loras, self.changed = state, affected
        return self.left_out

    def _put(self, names, networks):
        """Gives the engine the weights of these names."""
        refitter = trt.Refitter(self.engine, LOGGER)
        tensors = self._tensors(names, networks)
        self._set(refitter, tensors)
        # Those that TensorRT has merged with them it wants once more.
        merged = self._tensors(refitter.get_missing_weights(), networks)
        self._set(refitter, merged)
        self.weights.release()
        # The tensors must be there, and the engine must have nothing under way.
        torch.cuda.synchronize()
        if not refitter.refit_cuda_engine():
            raise EngineError(f"TensorRT-RTX does not take the weights: {LOGGER.last}")

    @torch.no_grad()
    def _tensors(self, names, networks):
        """The tensors of these names as the engine wants them, and those beside them in one layer."""
        layers = {self.layer_of[name] for name in names if name in self.layer_of}
        tensors = {name: self.weights(name) for name in names if name not in self.layer_of}
        for layer in layers:
            tensors.update(self._layer(layer, networks))
        return {name: self._fitting(name, tensor) for name, tensor in tensors.items()}

    def _layer(self, layer, networks):
        """A layer's tensors by name, on the GPU if a LoRA changes them."""
        parts = {part: self.weights(name) for part, name in self.layers[layer].items()}
        modules = [network.modules[layer] for network in networks if layer in network.modules]
        if modules:
            # In the engine's type, as the web UI adds them up.
            fit = lambda part: self._fitting(self.layers[layer][part], parts[part]).cuda()
            base = {part: fit(part) for part in parts}
            *merged, left_out = lora.merge(base["weight"], base.get("bias"), modules)
            parts = dict(zip(("weight", "bias"), merged))
            self.left_out += left_out
        return {name: parts[part] for part, name in self.layers[layer].items()}

    def _fitting(self, name, tensor):
        """The tensor in the type that the engine has it in."""
        prototype = self.prototypes[name]
        if tensor.numel() != prototype.size:
            raise EngineError(
                f"{name} has {tensor.numel()} numbers, and the engine wants {prototype.size}"
            )
        return tensor.to(dtype_of(prototype.dtype)).contiguous()

    def _set(self, refitter, tensors):
        for name, tensor in tensors.items():
            dtype = self.prototypes[name].dtype
            weights = trt.Weights(dtype, tensor.data_ptr(), tensor.numel())
            if not refitter.set_named_weights(name, weights, PLACES[tensor.device.type]):
                raise EngineError(f"TensorRT-RTX refuses the weight {name}: {LOGGER.last}")
