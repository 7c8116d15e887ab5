"""For checks without a GPU: an extension of Forge's family that has ours believe that there is one, with an engine for
every UNet. Another UNet computes in the engine's place, so that the pictures stay the same bits only if its weights are
the right ones."""
import sys
from dataclasses import replace
from pathlib import Path

import torch

from modules import script_callbacks

sys.path.append(str(Path(__file__).resolve().parents[2]))

from pretended import Twins, pretend_engine, pretend_gpu, slow_pytorch, twin_of


class Pretended(Twins):
    """In place of everything on the GPU."""

    def serve(self, entry, profile, inputs, read):
        from sdtrt.residuals import parted

        (x, timesteps, context), others = parted(inputs)
        added = others.get("residuals")
        assert (added is None) == entry.id.startswith("pretend"), "residuals are for the engine that takes them"
        # Each is added in place, and the UNet takes the last first.
        control = None if added is None else {"output": list(added.skips), "middle": [added.middle]}
        return self.twin(read, twin_of)(x, timesteps, context=context, y=others.get("y"), control=control)


def pretend():
    from sdtrt import index, machine
    from sdtrt.forge import jobs, steps
    from sdtrt.forge.script import jobs as running

    engine = pretend_engine(index)
    index.Index.controlled = lambda self, signature: (replace(engine, id="control" * 9),)
    pretend_gpu(machine)
    index.IndexFile.problem = property(lambda self: None, lambda self, value: None)
    jobs.gpu_of = lambda tensor: 0
    steps.random_states = lambda number: torch.get_rng_state()
    steps.put_random_states = lambda number, state: torch.set_rng_state(state)
    unet = running.session(0).unet
    unet.gpu = Pretended()
    slow_pytorch(unet, engine)


# Ours may be loaded before or after.
if "sdtrt.forge.script" in sys.modules:
    pretend()
else:
    script_callbacks.on_before_ui(pretend)
