"""Stand-ins for A1111's `modules`, with this folder's UNet in place of its own."""
import sys
from types import ModuleType, SimpleNamespace

import torch

PREFIX = "diffusion_model_"


class WebUI:
    """What the extension uses of a web UI with a checkpoint loaded."""

    def __init__(self):
        names = ("devices", "sd_hijack", "sd_models", "shared")
        self.modules = {name: ModuleType(f"modules.{name}") for name in names}
        package = ModuleType("modules")
        sys.modules["modules"] = package
        for name, module in self.modules.items():
            sys.modules[f"modules.{name}"] = module
            setattr(package, name, module)
        sys.modules["networks"] = self.networks = ModuleType("networks")
        self.networks.loaded_networks = []
        self.networks.network_apply_weights = self.apply
        self.modules["sd_hijack"].ldm_original_forward = self.torch_forward
        self.modules["sd_hijack"].model_hijack = SimpleNamespace(circular_enabled=False)
        shared, devices = self.modules["shared"], self.modules["devices"]
        shared.loaded_hypernetworks, shared.opts = [], SimpleNamespace()
        shared.cmd_opts = SimpleNamespace(lowvram=False, device_id=None)
        devices.cpu, devices.device, devices.torch_gc = "cpu", "cuda", torch.cuda.empty_cache
        # How many calls PyTorch has computed.
        self.torch_calls = 0

    def load(self, path, unet):
        """Loads a checkpoint."""
        self.unet = unet
        for name, module in unet.named_modules():
            kind = type(module)
            if not kind.__module__.startswith(("torch.", "ldm.")):
                # The web UI's module names; others would count as another extension's.
                kind.__module__ = f"ldm.{kind.__module__}"
            module.network_layer_name = PREFIX + name.replace(".", "_")
        info = SimpleNamespace(filename=str(path), model_name="loaded")
        model = SimpleNamespace(diffusion_model=unet)
        self.modules["sd_models"].model_data = SimpleNamespace(
            sd_model=SimpleNamespace(sd_checkpoint_info=info, model=model, lowvram=False)
        )

    def torch_forward(self, unet, x, timesteps, context, y=None):
        self.torch_calls += 1
        cast = lambda tensor: tensor if tensor is None else tensor.to(unet.out[2].weight.dtype)
        for module in unet.modules():
            self.apply(module)
        return unet(cast(x), timesteps.float(), cast(context), cast(y))

    def apply(self, module):
        """Adds the active LoRAs to a layer's weight, as A1111's built-in extension does."""
        wanted = tuple(network.name for network in self.networks.loaded_networks)
        if getattr(module, "weight", None) is None or getattr(module, "applied", ()) == wanted:
            return
        if not hasattr(module, "backup"):
            module.backup = module.weight.detach().to("cpu", copy=True)
        module.weight.copy_(module.backup)
        for network in self.networks.loaded_networks:
            delta = network.modules.get(module.network_layer_name)
            if delta is not None:
                module.weight += delta.for_weight(module.weight)
        module.applied = wanted


class Lora:
    """A LoRA with random values: its rank, and words in the names of its weights."""

    def __init__(self, name, unet, words, rank, strength, seed):
        self.name, self.dyn_dim, self.mtime = name, None, float(seed)
        self.te_multiplier = self.unet_multiplier = strength
        generator = torch.Generator().manual_seed(seed)
        self.modules = {
            PREFIX + of.removesuffix(".weight").replace(".", "_"): Delta(weight.shape, rank, strength, generator)
            for of, weight in unet.named_parameters()
            if of.endswith(".weight") and weight.dim() > 1 and any(word in of for word in words)
        }


class Delta:
    """What a LoRA adds to one weight: at strength 1, about the weight's own magnitude."""

    def __init__(self, shape, rank, strength, generator):
        outputs, inputs = shape[0], shape.numel() // shape[0]
        random = lambda *size: torch.randn(size, generator=generator)
        self.up = (random(outputs, rank) * strength * (0.3 / rank / inputs) ** 0.5).half()
        self.down = random(rank, inputs).half()

    def for_weight(self, weight):
        return (self.up.to(weight) @ self.down.to(weight)).reshape(weight.shape)
