"""For checks without a GPU: an extension of Forge's family that makes it know small UNets, of which it knows none. The
checkpoints have all else in the usual size."""
import os

# How wide the UNets are; SD 1.5's has 320 channels.
CHANNELS = os.environ.get("SMALL_CHANNELS", "32").split(",")


def models():
    """The list of models that the web UI knows, and SD 1.5 in it."""
    try:
        # Forge Neo, and lllyasviel's Forge.
        from huggingface_guess import model_list as known
    except ImportError:
        # reForge.
        from ldm_patched.modules import supported_models as known
    return known.models, known.SD15


every, sd15 = models()
for channels in map(int, CHANNELS):
    config = dict(sd15.unet_config, model_channels=channels)
    every.append(type("Small", (sd15,), {"unet_config": config}))
