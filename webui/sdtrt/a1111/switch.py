"""Replaces A1111's choice of a UNet: the original moves the web UI's UNet to the CPU before it activates another,
which takes seconds with SDXL; but our engines read its weights on the GPU.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any


def install(
    sd_unet: Any, is_ours: Callable[[Any], bool], follow: Callable[[], None], log: Callable[[str], None] = print
) -> None:
    """Replaces `sd_unet.apply_unet`, once. `is_ours` recognizes our options, and `follow` updates their list to
    the loaded model."""
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
        # The web UI's own message.
        log(f"Activating unet: {chosen.label}")
        sd_unet.current_unet.activate()

    apply_unet.sdtrt_original = original  # type: ignore[attr-defined]
    sd_unet.apply_unet = apply_unet
