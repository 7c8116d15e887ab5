"""For checks without a GPU: an extension of Forge's family that makes it know small UNets, of which it knows none. The
checkpoints have all else in the usual size."""
try:
    # Forge Neo, and lllyasviel's Forge.
    from huggingface_guess import model_list as known
except ImportError:
    # reForge.
    from ldm_patched.modules import supported_models as known

try:
    # The same once more, by which Forge Neo's ControlNet knows control nets.
    from modules_forge.packages.huggingface_guess import model_list as again
except ImportError:
    again = known

# SD 1.5 and SDXL are what has their layers, however wide.
for each in (known, again):
    each.SD15.unet_config.pop("model_channels", None)
    each.SDXL.unet_config.pop("model_channels", None)
