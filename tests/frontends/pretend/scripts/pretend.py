"""For checks without a GPU: an extension of A1111 that has ours believe that there is one, with an engine for every
UNet. Another UNet computes in the engine's place, so that the pictures stay the same bits if its weights are the right
ones, and all that comes before and after an engine is really run."""
import sys
from dataclasses import replace
from pathlib import Path

from modules import script_callbacks

sys.path.append(str(Path(__file__).resolve().parents[2]))

import pretended


class Pretended(pretended.Twins):
    """In place of the module `gpu`."""

    def __init__(self, host):
        super().__init__()
        self.host = host

    def serve(self, entry, profile, inputs, read):
        from sdtrt.recording import added
        from sdtrt.residuals import parted

        twin = self.twin(read, twin_of)
        first, others = parted(inputs)
        with added(twin, others.pop("residuals", None)):
            return self.host.original_forward(twin)(twin, *first, **others)


def twin_of(unet):
    """Returns a UNet of the same classes, without token merging and what the web UI's own extension needs to apply
    LoRAs."""
    twin = pretended.twin_of(unet)
    for module in twin.modules():
        module.__class__ = getattr(module, "_parent", type(module))
        for name in [name for name in vars(module) if name.startswith("network_")]:
            delattr(module, name)
    return twin


def pretend():
    from sdtrt import a1111, index, machine
    from sdtrt.a1111 import hooks
    from sdtrt.signature import Looks

    engine = pretended.pretend_engine(index)
    pretended.pretend_gpu(machine)
    index.Index.controlled = lambda self, signature: (replace(engine, id="control" * 9),)
    index.Index.shared = lambda self, signature: () if signature in unknown else (engine,)
    look, unknown = Looks.at, set()

    def at(looks, unet):
        """Knows no engine for a UNet to which something was added."""
        found = look(looks, unet)
        if found.new:
            unknown.add(found.signature)
        return found

    Looks.at = at
    a1111.standstill = lambda: None
    a1111.is_awake = lambda: True
    hooks.unet.gpu = Pretended(a1111)
    pretended.slow_pytorch(hooks.unet, engine)


# Ours is loaded before: its folder's name comes first.
if "sdtrt" in sys.modules:
    pretend()
else:
    script_callbacks.on_before_ui(pretend)
