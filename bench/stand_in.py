"""Stand-ins for A1111's `modules`, with the UNet of this folder in the place of its own."""
import sys
from types import ModuleType, SimpleNamespace

import torch

PREFIX = "diffusion_model_"


class WebUI:
    """What the extension sees of a web UI that has a checkpoint loaded."""

    def __init__(self):
        self.modules = {name: ModuleType(f"modules.{name}") for name in ("devices", "sd_hijack", "sd_models", "shared")}
        package = ModuleType("modules")
        sys.modules["modules"] = package
        for name, module in self.modules.items():
            sys.modules[f"modules.{name}"] = module
            setattr(package, name, module)
        sys.modules["networks"] = self.networks = ModuleType("networks")
        self.networks.loaded_networks = []
        self.modules["sd_hijack"].ldm_original_forward = self.torch_forward
        self.modules["sd_hijack"].model_hijack = SimpleNamespace(circular_enabled=False)
        self.modules["shared"].loaded_hypernetworks = []
        self.modules["shared"].opts = SimpleNamespace()
        self.modules["shared"].cmd_opts = SimpleNamespace(lowvram=False, device_id=None)
        devices = self.modules["devices"]
        devices.cpu, devices.device, devices.torch_gc = "cpu", "cuda", torch.cuda.empty_cache
        self.modules["sd_models"].read_state_dict = lambda path, map_location: torch.load(
            path, map_location=map_location, weights_only=True
        )
        # How often PyTorch has computed a call.
        self.torch_calls = 0

    def load(self, path, unet):
        """Has a checkpoint loaded, on the CPU as the web UI leaves it beside an engine."""
        self.info, self.unet = SimpleNamespace(filename=str(path)), unet.to("cpu")
        for kind in {type(module) for module in unet.modules()}:
            if not kind.__module__.startswith(("torch.", "ldm.")):
                # Where the web UI's are; others are taken for another extension's.
                kind.__module__ = f"ldm.{kind.__module__}"
        model = SimpleNamespace(diffusion_model=self.unet)
        self.modules["sd_models"].model_data = SimpleNamespace(
            sd_model=SimpleNamespace(sd_checkpoint_info=self.info, model=model, lowvram=False)
        )
        self.original = {name: tensor.clone() for name, tensor in unet.state_dict().items()}
        self.merged = []

    def torch_forward(self, unet, x, timesteps, context, y=None):
        self.torch_calls += 1
        self._merge(unet)
        cast = lambda tensor: tensor if tensor is None else tensor.to(unet.out[2].weight.dtype)
        return unet(cast(x), timesteps.float(), cast(context), cast(y))

    def _merge(self, unet):
        """A1111's own UNet follows the LoRAs too, when it is called."""
        if self.merged != self.networks.loaded_networks:
            self.merged = list(self.networks.loaded_networks)
            unet.load_state_dict(merged(self.original, self.merged))


class Lora:
    """A LoRA as A1111's extension holds it, of random numbers: of a rank, for some of the layers."""

    def __init__(self, name, weights, chosen, rank, multiplier, seed):
        self.name = name
        self.mtime = float(seed)
        self.te_multiplier = self.unet_multiplier = multiplier
        self.dyn_dim = None
        generator = torch.Generator().manual_seed(seed)
        self.modules = {
            layer_name(of): Delta(weights[of].shape, rank, self, generator) for of in chosen
        }


class Delta:
    """What one LoRA adds to one weight: about as much as there is, at a multiplier of 1."""

    def __init__(self, shape, rank, network, generator):
        self.network, self.shape = network, shape
        outputs, inputs = shape[0], shape.numel() // shape[0]
        random = lambda *size: torch.randn(size, generator=generator)
        self.up = (random(outputs, rank) * (0.3 / rank / inputs) ** 0.5).half()
        self.down = random(rank, inputs).half()

    def calc_updown(self, weight):
        delta = self.up.to(weight) @ self.down.to(weight) * self.network.unet_multiplier
        return delta.reshape(self.shape), None


def layer_name(weight):
    """A1111's name of a layer, from its weight's without the prefix."""
    return PREFIX + weight.removesuffix(".weight").replace(".", "_")


def merged(weights, networks):
    """The weights with LoRAs in them, in the type that they have."""
    found = {}
    for name, tensor in weights.items():
        for network in networks:
            module = network.modules.get(layer_name(name)) if name.endswith(".weight") else None
            if module is not None:
                tensor = tensor + module.calc_updown(tensor)[0]
        found[name] = tensor
    return found
