"""A1111's choice of a UNet. Its own moves the web UI's UNet to the CPU before it takes another, which for SDXL
costs seconds, and our engines read its weights where they are."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any


def install(
    sd_unet: Any, is_ours: Callable[[Any], bool], follow: Callable[[], None], log: Callable[[str], None] = print
) -> None:
    """Puts ours in the place of `sd_unet.apply_unet`, once. `is_ours` tells our options, and `follow` has the list
    of them follow the model that is loaded."""
    original = sd_unet.apply_unet
    if hasattr(original, "sdtrt_original"):
        return

    def apply_unet(option: str | None = None) -> None:
        if option is None:
            follow()
        chosen = sd_unet.get_unet_option(option)
        if not is_ours(chosen) or chosen == sd_unet.current_unet_option:
            original(option)
            return
        before, current = sd_unet.current_unet_option, sd_unet.current_unet
        if current is not None and not is_ours(before):
            current.deactivate()
        sd_unet.current_unet_option = chosen
        sd_unet.current_unet = chosen.create_unet()
        sd_unet.current_unet.option = chosen
        # In the web UI's own words.
        log(f"Activating unet: {chosen.label}")
        sd_unet.current_unet.activate()

    apply_unet.sdtrt_original = original  # type: ignore[attr-defined]
    sd_unet.apply_unet = apply_unet
