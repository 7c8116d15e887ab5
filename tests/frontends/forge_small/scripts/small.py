"""For checks without a GPU: an extension of Forge's family that makes it know small UNets, of which it knows none. The
checkpoints have all else in the usual size."""
try:
    # Forge Neo, and lllyasviel's Forge.
    from huggingface_guess import model_list as known
except ImportError:
    # reForge.
    from ldm_patched.modules import supported_models as known

# SD 1.5 is what has its layers, however wide.
known.SD15.unet_config.pop("model_channels", None)
