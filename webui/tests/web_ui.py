"""Stand-ins for A1111's `modules`, 1.10: how it names checkpoints, and how it chooses a UNet."""
import os
import sys
from types import ModuleType, SimpleNamespace

NAMES = ("devices", "sd_hijack", "sd_models", "sd_unet", "shared")


def put_stand_ins():
    """Makes `from modules import …` find them. Their contents are WebUi's."""
    sys.modules["modules"] = package = ModuleType("modules")
    for name in NAMES:
        module = ModuleType(f"modules.{name}")
        sys.modules[f"modules.{name}"] = module
        setattr(package, name, module)
    package.sd_unet.SdUnetOption = type("SdUnetOption", (), {})
    sys.modules["networks"] = ModuleType("networks")


# What --lowvram brings to the GPU when it is its turn.
BROUGHT = ("time_embed", "input_blocks", "middle_block", "output_blocks")


class Part:
    """A module, as far as it is moved about."""

    __module__ = "ldm.modules.attention"

    def __init__(self):
        self.place = "cuda"

    def forward(self):
        """As the class has it."""

    def to(self, place):
        self.place = place
        return self


class TorchUnet:
    """The web UI's own, as far as it is moved about."""

    __module__ = "ldm.modules.diffusionmodules.openaimodel"

    def __init__(self):
        self.parts = {name: Part() for name in (*BROUGHT, "out")}
        self.moves = 0

    @property
    def place(self):
        places = {part.place for part in self.parts.values()}
        return places.pop() if len(places) == 1 else "both"

    def forward(self, x, timesteps, context, **others):
        return "PyTorch's"

    def to(self, place):
        self.moves += self.place != place
        for part in self.parts.values():
            part.to(place)
        return self

    def parameters(self):
        yield SimpleNamespace(is_cuda=self.parts["time_embed"].place == "cuda")

    def named_children(self):
        return self.parts.items()

    def named_modules(self):
        return [("", self), *self.parts.items()]


class WebUi:
    """A web UI with these folders of checkpoints, which looks into `ckpt_dir` first."""

    def __init__(self, model_path, ckpt_dir=None):
        self.model_path, self.ckpt_dir = str(model_path), ckpt_dir and str(ckpt_dir)
        modules = sys.modules["modules"]
        self.unet, self.models, self.networks = modules.sd_unet, modules.sd_models, sys.modules["networks"]
        self.unet.unet_options, self.unet.current_unet, self.unet.current_option = [], None, None
        # Whether --medvram or --lowvram is on.
        self.lowvram = False
        self.unet.list_unets = self.list_unets
        self.unet.apply_unet = lambda: self.choose("Automatic")
        self.models.model_data = SimpleNamespace(sd_model=None)
        self.models.read_state_dict = None
        self.networks.loaded_networks = []
        modules.sd_hijack.model_hijack = SimpleNamespace(circular_enabled=False)
        modules.sd_hijack.ldm_original_forward = self.torch_forward
        modules.shared.loaded_hypernetworks = []
        modules.shared.opts = SimpleNamespace()
        modules.shared.cmd_opts = SimpleNamespace(lowvram=False, device_id=None)
        modules.devices.cpu, modules.devices.device, modules.devices.torch_gc = "cpu", "cuda", lambda: None
        self.torch_calls = 0
        self.refresh_checkpoints()

    def torch_forward(self, unet, *args, **kwargs):
        if sys.modules["modules.shared"].cmd_opts.lowvram:
            for name in BROUGHT:
                unet.parts[name].to("cuda")
        assert unet.place == "cuda", "its weights are not where it computes"
        self.torch_calls += 1
        return TorchUnet.forward(unet, *args, **kwargs)

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
        """The path below its root, with underscores for slashes, without the extension."""
        roots = [root for root in (self.ckpt_dir, self.model_path) if root and path.startswith(root)]
        name = path.replace(roots[0], "") if roots else os.path.basename(path)
        return os.path.splitext(name.lstrip("/").replace("/", "_"))[0]

    def list_unets(self):
        from sdtrt import hooks

        found = []
        hooks.list_unets(found)
        self.unet.unet_options[:] = found

    def load(self, path):
        """Loads a checkpoint, and has an engine chosen by 'Automatic'."""
        self.swap(path)
        self.choose("Automatic")

    def swap(self, path):
        """Loads a checkpoint of another architecture than the one before: no engine is chosen then."""
        self.choose("None")
        info = self.models.checkpoints_list[str(path)]
        self.torch_unet = TorchUnet()
        self.models.model_data.sd_model = SimpleNamespace(
            sd_checkpoint_info=info, lowvram=self.lowvram, model=SimpleNamespace(diffusion_model=self.torch_unet)
        )

    def choose(self, setting):
        """As the web UI applies its setting `sd_unet`."""
        options = self.unet.unet_options
        if setting == "Automatic":
            name = self.models.model_data.sd_model.sd_checkpoint_info.model_name
            setting = next((option.label for option in options if option.model_name == name), "None")
        chosen = next((option for option in options if option.label == setting), None)
        if chosen == self.unet.current_option:
            return
        if self.unet.current_unet is not None:
            self.unet.current_unet.deactivate()
        self.unet.current_option, self.unet.current_unet = chosen, None
        if chosen is None:
            if not self.lowvram:
                self.torch_unet.to("cuda")
            return
        self.torch_unet.to("cpu")
        self.unet.current_unet = chosen.create_unet()
        self.unet.current_unet.option = chosen
        self.unet.current_unet.activate()

    def job(self):
        """What comes before the first call of a job."""
        from sdtrt import hooks

        hooks.before_job()
        self.choose("Automatic")
        self.start_pass()

    def start_pass(self):
        """What comes before the first call of each batch, and of the hires pass."""
        from sdtrt import hooks

        hooks.before_pass()
        if self.lowvram and not sys.modules["modules.shared"].cmd_opts.lowvram:
            # What --medvram does when the model is called.
            self.torch_unet.to("cuda")
