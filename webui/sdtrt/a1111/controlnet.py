"""Engines under sd-webui-controlnet. Its own forward, which it puts into the UNet for a job, computes the control nets
and walks the UNet's blocks by itself. Around it a recorder stands in for the blocks, so that all it does stays its own
and an engine computes the UNet."""
from __future__ import annotations

from weakref import ref

from ..changes import contents
from ..choosing import NO_CONTROL, unsupported

# Its function, by name.
ITS_OWN = "UnetHook.hook.<locals>.forward_webui"
# Types of its units, by its names: those that only add residuals, and what others are, in words.
RESIDUAL = ("ControlNet", "ControlLoRA", "ControlNetUnion", "InstantID")
OTHERS = {
    "T2I_Adapter": "a T2I adapter, which adds inside of the encoder, is active in ControlNet",
    "T2I_StyleAdapter": "a T2I style adapter is active in ControlNet",
    "T2I_CoAdapter": "a T2I adapter, which adds inside of the encoder, is active in ControlNet",
    "AttentionInjection": "ControlNet's reference-only, which works inside of attention, is active",
    "IPAdapter": "an IP-Adapter, which works inside of attention, is active in ControlNet",
    "Controlllite": "a ControlLLLite, which works inside of attention, is active in ControlNet",
    "ReVision": "Revision, which replaces the prompt, is active in ControlNet",
}
INSIDE = "ControlNet works inside of attention"
ANOTHER = "ControlNet, or another extension that works inside the UNet, is active"


class Recording:
    """In place of ControlNet's forward `theirs` in `module`, a UNet. `unet` is ours, which engines compute."""

    def __init__(self, module, theirs, unet):
        self.module, self.theirs, self.unet = ref(module), theirs, unet
        # Why a call could not be recorded in this pass, in words.
        self.failed = None

    def __call__(self, x, timesteps=None, context=None, y=None, **others):
        given = {"timesteps": timesteps, "context": context} | ({} if y is None else {"y": y}) | others
        module = self.module()
        line = self.line(module, x, timesteps, context, others)
        if line is not None:
            return self.by_pytorch(line, x, given)
        from ..recording import Recorder, Unexpected

        compute = lambda recorded: self.unet.forward(
            recorded.sample, timesteps, recorded.context,
            **({} if recorded.y is None else {"y": recorded.y}),
            **({} if recorded.residuals is None else {"residuals": recorded.residuals}),
        )
        recorder = Recorder(module, self.unet.looks.residuals(module, x.shape), compute)
        try:
            with recorder.in_place():
                return self.theirs(x, **given)
        except (Exception, Unexpected) as why:
            if recorder.is_done:
                raise
            # The same again without recorders. If the error is its own, it will be raised then.
            self.failed = str(why) if isinstance(why, Unexpected) else f"{type(why).__name__}: {why}"
        return self.by_pytorch(unsupported(self.failed), x, given)

    def by_pytorch(self, line, x, given):
        self.unet.step_aside(line)
        return self.theirs(x, **given)

    def line(self, module, x, timesteps, context, others):
        """Returns why a call is not recorded, for the user, or None."""
        try:
            why = self.failed or obstacle(self.theirs) or self.unet.host.obstacle() or self.unet.inside()
            if why is None and (others or timesteps is None or context is None or x.ndim != 4):
                why = "the UNet is called in another way than by the web UI"
            if why is None and module is not self.unet.host.torch_unet():
                why = "ControlNet works in a UNet that is not the loaded one's"
            if why is not None:
                return unsupported(why)
            # The first look comes before any LoRA adds anything.
            signature = self.unet.looks.signature(module)
            return None if self.unet.catalogue.index.controlled(signature) else NO_CONTROL
        except Exception as error:
            return f"what comes before recording failed: {type(error).__name__}: {error}; PyTorch computes it"


def record(module, unet):
    """Records the calls of ControlNet's forward in this UNet from now on; returns whether it is there and only adds
    residuals."""
    theirs = vars(module).get("forward")
    if not is_its(theirs) or obstacle(theirs) is not None:
        return False
    module.forward = Recording(module, theirs, unet)
    return True


def leave(module):
    """Puts ControlNet's own forward back; there may be no UNet."""
    own = vars(module).get("forward") if module is not None else None
    if isinstance(own, Recording):
        module.forward = own.theirs


def is_its(forward):
    """Whether this is sd-webui-controlnet's forward."""
    return getattr(getattr(forward, "__func__", None), "__qualname__", None) == ITS_OWN


def obstacle(forward):
    """Returns what no residual control net does, in words, of what this forward does; None if there is nothing."""
    if not is_its(forward):
        return ANOTHER
    hook = next((each for each in contents(forward.__func__) if hasattr(each, "control_params")), None)
    if hook is None:
        return "this version of ControlNet is unknown"
    kinds = [getattr(each.control_model_type, "name", "") for each in hook.control_params or ()]
    found = next((kind for kind in kinds if kind not in RESIDUAL), None)
    if found is not None:
        return OTHERS.get(found, f"{found} is active in ControlNet")
    return INSIDE if getattr(hook, "attn_module_list", None) else None
