"""For checks without a GPU: an extension of Forge's family that has ours believe that there is one, with an engine for
every UNet. Another UNet computes in the engine's place, so that the pictures stay the same bits only if its weights are
the right ones."""
import sys
from pathlib import Path

from modules import script_callbacks

sys.path.append(str(Path(__file__).resolve().parents[2]))

from pretended import Twins, pretend_engine, pretend_gpu, slow_pytorch, twin_of


class Pretended(Twins):
    """In place of everything on the GPU."""

    def serve(self, entry, profile, inputs, read):
        twin = self.twin(read, twin_of)
        return twin(inputs["sample"], inputs["timesteps"], context=inputs["encoder_hidden_states"], y=inputs.get("y"))


def pretend():
    from sdtrt import index, machine
    from sdtrt.forge import jobs
    from sdtrt.forge.script import jobs as running

    engine = pretend_engine(index)
    pretend_gpu(machine)
    index.IndexFile.problem = property(lambda self: None, lambda self, value: None)
    jobs.gpu_of = lambda tensor: 0
    unet = running.session(0).unet
    unet.gpu = Pretended()
    slow_pytorch(unet, engine)


# Ours may be loaded before or after.
if "sdtrt.forge.script" in sys.modules:
    pretend()
else:
    script_callbacks.on_before_ui(pretend)
