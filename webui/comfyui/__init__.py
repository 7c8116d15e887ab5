"""Registers the node with ComfyUI, which imports this folder as a package."""
from .sdtrt.comfyui.node import Extension


async def comfy_entrypoint() -> Extension:
    return Extension()
