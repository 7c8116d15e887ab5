"""Stand-ins for A1111's `modules`, 1.10: its names of checkpoints, and its choice of a UNet."""
import os
import sys
from types import ModuleType, SimpleNamespace

NAMES = (
    "devices", "extra_networks", "paths_internal", "processing", "rng", "sd_hijack", "sd_models", "sd_samplers",
    "sd_samplers_cfg_denoiser", "sd_unet", "shared",
)


def put_stand_ins():
    """Makes `from modules import …` find them. WebUi fills them."""
    sys.modules["modules"] = package = ModuleType("modules")
    for name in NAMES:
        module = ModuleType(f"modules.{name}")
        sys.modules[f"modules.{name}"] = module
        setattr(package, name, module)
    package.sd_unet.SdUnetOption = type("SdUnetOption", (), {})
    sys.modules["networks"] = ModuleType("networks")


class Parameter:
    """A stand-in for a weight."""

    def __init__(self, part, *shape):
        self.part, self.shape = part, shape

    @property
    def is_cuda(self):
        return self.part.place == "cuda"


class Part:
    """A stand-in for a module that can be moved and has weights."""

    __module__ = "ldm.modules.attention"

    def __init__(self, name):
        self.place = "cuda"
        self.network_layer_name = f"diffusion_model_{name}"
        self._parameters = {"weight": Parameter(self, 4, 4), "bias": None}
        # The LoRAs applied to it.
        self.loras = ()

    @property
    def weight(self):
        return self._parameters["weight"]

    def forward(self):
        """The class's own method."""

    def to(self, place):
        self.place = place
        return self


class Latent(str):
    """A computed latent, and whether it is finite."""

    def __new__(cls, text, finite=True):
        latent = super().__new__(cls, text)
        latent.finite = finite
        return latent


class TorchUnet:
    """The web UI's own UNet, with a checkpoint's weights."""

    __module__ = "ldm.modules.diffusionmodules.openaimodel"

    def __init__(self, weights, width=4):
        self.weights = weights
        self._parameters = {}
        names = ("time_embed", "input_blocks", "middle_block", "output_blocks", "out")
        self.parts = {name: Part(name) for name in names}
        self.parts["middle_block"].to_q, self.parts["middle_block"].heads = None, 8
        self.parts["out"]._parameters["weight"].shape = (width, 4)
        self.moves = 0
        # Whether its output is finite.
        self.finite = True

    @property
    def place(self):
        places = {part.place for part in self.parts.values()}
        return places.pop() if len(places) == 1 else "both"

    @property
    def loras(self):
        return self.parts["out"].loras

    def forward(self, x, timesteps, context, **others):
        return Latent(f"PyTorch's of {self.weights}", self.finite and x.finite)

    def to(self, place):
        self.moves += self.place != place
        for part in self.parts.values():
            part.to(place)
        return self

    def parameters(self):
        return (part.weight for part in self.parts.values())

    def named_modules(self):
        return [("", self), *self.parts.items()]

    def modules(self):
        return [self, *self.parts.values()]


class WebUi:
    """A web UI with these folders of checkpoints, which looks into `ckpt_dir` first."""

    def __init__(self, model_path, ckpt_dir=None):
        from sdtrt.a1111 import hooks, switch

        self.model_path, self.ckpt_dir = str(model_path), ckpt_dir and str(ckpt_dir)
        modules = sys.modules["modules"]
        self.unet, self.models, self.networks = modules.sd_unet, modules.sd_models, sys.modules["networks"]
        self.shared, self.devices = modules.shared, modules.devices
        self.unet.unet_options, self.unet.current_unet, self.unet.current_unet_option = [], None, None
        # Whether --medvram is active.
        self.lowvram = False
        self.setting = "Automatic"
        self.unet.list_unets, self.unet.get_unet_option = self.list_unets, self.get_unet_option
        self.unet.apply_unet = self.apply_unet
        switch.install(self.unet, hooks.is_ours, hooks.follow, log=lambda line: None)
        self.models.model_data = SimpleNamespace(sd_model=None)
        self.networks.loaded_networks = []
        self.networks.network_apply_weights = self.network_apply_weights
        self.applied = 0
        modules.sd_hijack.model_hijack = SimpleNamespace(circular_enabled=False)
        modules.sd_hijack.ldm_original_forward = self.torch_forward
        self.shared.loaded_hypernetworks = []
        self.shared.opts = SimpleNamespace()
        self.shared.cmd_opts = SimpleNamespace(lowvram=False, device_id=None)
        here = os.path.dirname(__file__)
        modules.paths_internal.script_path = modules.paths_internal.data_path = "/web ui"
        modules.paths_internal.extensions_dir = "/web ui/extensions"
        # The stand-ins count as the web UI's own code.
        sys.modules["ldm"] = SimpleNamespace(__path__=[here])
        self.devices.cpu, self.devices.device, self.devices.fp8 = "cpu", "cuda", False
        self.torch_calls = 0
        self.refresh_checkpoints()

    @property
    def torch_unet(self):
        return self.models.model_data.sd_model.model.diffusion_model

    def torch_forward(self, unet, *args, **kwargs):
        assert unet.place == "cuda", "it can't compute with weights on the CPU"
        self.torch_calls += 1
        return TorchUnet.forward(unet, *args, **kwargs)

    def network_apply_weights(self, module):
        """As the web UI's built-in extension does in each layer's forward."""
        assert module.place == "cuda", "on the CPU it takes seconds"
        self.applied += 1
        module.loras = tuple(network.name for network in self.networks.loaded_networks)
        bias = any(getattr(network, "adds_bias", False) for network in self.networks.loaded_networks)
        module._parameters["bias"] = Parameter(module, 4) if bias else None

    def refresh_checkpoints(self):
        roots = [root for root in (self.ckpt_dir, self.model_path) if root]
        files = [
            os.path.join(folder, name)
            for root in roots
            for folder, _, names in os.walk(root, followlinks=True)
            for name in sorted(names)
            if name.lower().endswith((".ckpt", ".safetensors"))
        ]
        infos = [SimpleNamespace(filename=path, model_name=self.model_name(path)) for path in files]
        self.models.checkpoints_list = {info.filename: info for info in infos}

    def model_name(self, path):
        """The path below its root without its extension, with underscores for slashes."""
        roots = [root for root in (self.ckpt_dir, self.model_path) if root and path.startswith(root)]
        name = path.replace(roots[0], "") if roots else os.path.basename(path)
        return os.path.splitext(name.lstrip("/").replace("/", "_"))[0]

    def list_unets(self):
        from sdtrt.a1111 import hooks

        found = []
        hooks.list_unets(found)
        self.unet.unet_options[:] = found

    def load(self, path, width=4):
        """Loads a checkpoint into the existing model, and lets it choose an engine."""
        self.swap(path, width)
        self.unet.apply_unet()

    def swap(self, path, width=4):
        """Loads a checkpoint of another architecture: no engine is chosen then."""
        if self.models.model_data.sd_model is not None:
            self.unet.apply_unet("None")
        self.keep(path, width)

    def keep(self, path, width=4):
        """Loads a checkpoint beside the previous one, and chooses nothing, as with sd_checkpoints_limit."""
        info = self.models.checkpoints_list[str(path)]
        unet = TorchUnet(f"{info.model_name}", width)
        self.models.model_data.sd_model = SimpleNamespace(
            sd_checkpoint_info=info, lowvram=self.lowvram, model=SimpleNamespace(diffusion_model=unet)
        )

    def get_unet_option(self, option=None):
        option = option or self.setting
        if option == "Automatic":
            name = self.models.model_data.sd_model.sd_checkpoint_info.model_name
            options = [each for each in self.unet.unet_options if each.model_name == name]
            option = options[0].label if options else "None"
        return next((each for each in self.unet.unet_options if each.label == option), None)

    def apply_unet(self, option=None):
        """The web UI's own code, line by line."""
        new_option = self.get_unet_option(option)
        if new_option == self.unet.current_unet_option:
            return
        if self.unet.current_unet is not None:
            self.unet.current_unet.deactivate()
        self.unet.current_unet_option = new_option
        if new_option is None:
            self.unet.current_unet = None
            if not self.lowvram:
                self.torch_unet.to("cuda")
            return
        self.torch_unet.to("cpu")
        self.unet.current_unet = new_option.create_unet()
        self.unet.current_unet.option = new_option
        self.unet.current_unet.activate()

    def choose(self, setting):
        """Changes the setting 'SD Unet', and runs a job."""
        self.setting = setting
        self.unet.apply_unet()

    def job(self):
        """What happens before a job's first call."""
        from sdtrt.a1111 import hooks

        hooks.before_job()
        self.unet.apply_unet()
        self.start_pass()

    def start_pass(self):
        """What happens before the first call of each batch, and of the hires pass."""
        from sdtrt.a1111 import hooks

        hooks.before_pass()
        if self.lowvram:
            # --medvram does this when the model is called.
            self.torch_unet.to("cuda")
