"""Which pictures a preset covers, the hires pass included. Pure."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# What people make, by the architecture's family.
USUAL = {
    "sd": ((512, 512), (512, 768), (768, 512), (768, 768), (1024, 1024)),
    "sdxl": ((1024, 1024), (896, 1152), (832, 1216), (1216, 832), (1152, 896)),
}
HIRES = (1.5, 2.0)


def covers(preset: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the usual sizes, and for each whether the base pass is covered, and the hires pass for each factor."""
    family = preset.get("family")
    families = [family] if isinstance(family, str) and family in USUAL else list(USUAL)
    usual = dict.fromkeys(size for each in families for size in USUAL[each])
    return [
        {
            "width": width, "height": height, "base": covered(preset, width, height),
            "hires": [covered(preset, int(width * factor), int(height * factor)) for factor in HIRES],
        }
        for width, height in usual
    ]


def covered(preset: Mapping[str, Any], width: int, height: int) -> bool:
    """Whether a pass of this size is within a preset."""
    sizes = (preset.get("width"), width), (preset.get("height"), height)
    return all(isinstance(each, dict) and within(each, pixels) for each, pixels in sizes)


def within(limits: Mapping[str, Any], value: int) -> bool:
    least, most = limits.get("min"), limits.get("max")
    return isinstance(least, int) and isinstance(most, int) and least <= value <= most
