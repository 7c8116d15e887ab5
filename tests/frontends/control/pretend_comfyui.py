"""For checks without a GPU: a node of ComfyUI that has ours believe that there is one, with an engine for every UNet
and one for ControlNets. PyTorch's own UNet computes in their place, from what the engine would have been given."""
import sys
from dataclasses import replace
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from pretended import Gpu, pretend_engine, pretend_gpu, slow_pytorch


def ours(name):
    """Returns the module of ours with this name, however the front end calls the package."""
    ends = f"sdtrt.{name}", f".sdtrt.{name}"
    return next(module for key, module in sys.modules.items() if key == ends[0] or key.endswith(ends[1]))


class Pretended(Gpu):
    """In place of a session's `Gpu`."""

    def __init__(self, session):
        self.session = session

    def serve(self, entry, profile, inputs, *weights):
        (x, timesteps, context), others = ours("residuals").parted(inputs)
        run, added = self.session.run, others.get("residuals")
        assert (added is None) == entry.id.startswith("pretend"), "residuals are for the engine that takes them"
        control = None if added is None else {"output": list(added.skips), "middle": [added.middle]}
        return run.original(x, timesteps, context, others.get("y"), control, run.options, **run.others)


def pretend():
    index, machine, session, repeat = map(ours, ("index", "machine", "patchers.session", "patchers.repeat"))
    engine = pretend_engine(index)
    pretend_gpu(machine)
    index.Index.controlled = lambda self, signature: (replace(engine, id="control" * 9),)
    repeat.random_states = lambda gpu: None
    repeat.put_random_states = lambda gpu, states: None
    for module in list(sys.modules.values()):
        if "sdtrt" in getattr(module, "__name__", "") and hasattr(module, "gpu_of"):
            module.gpu_of = lambda tensor: 0
    own = session.Session.__init__

    def start(self, *args):
        own(self, *args)
        self.unet.gpu = Pretended(self)
        slow_pytorch(self.unet, engine)

    session.Session.__init__ = start
    ours("comfyui.jobs").Jobs._why_none = lambda self: None


class Pretend:
    """Custom nodes are imported in any order, so this begins in the first job."""

    CATEGORY, RETURN_TYPES, FUNCTION = "check", ("MODEL",), "run"
    has_begun = False

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"model": ("MODEL",)}}

    def run(self, model):
        if not Pretend.has_begun:
            Pretend.has_begun = True
            pretend()
        return (model,)


NODE_CLASS_MAPPINGS = {"CheckPretend": Pretend}
