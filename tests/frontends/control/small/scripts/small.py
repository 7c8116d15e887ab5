"""For checks: an extension of A1111 that makes sd-webui-controlnet know control nets in the shapes of the UNet that is
loaded. By itself it has those of SD 1.5, SD 2 and SDXL only."""
import sys

from modules import script_callbacks, shared


def shapes(unet):
    """Returns what differs from SD 1.5's."""
    return {
        "model_channels": unet.model_channels, "channel_mult": list(unet.channel_mult),
        "transformer_depth": [1] * len(unet.channel_mult), "attention_resolutions": list(unet.attention_resolutions),
    }


def know(_, __):
    guess = sys.modules.get("scripts.controlnet_model_guess")
    # This waits until the model is loaded.
    guess.controlnet_default_config.update(shapes(shared.sd_model.model.diffusion_model))


script_callbacks.on_app_started(know)
