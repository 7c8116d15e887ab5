"""What a model patcher does to its UNet, by the patcher's own account. Pure: it only reads attributes, and one that a
front end lacks changes nothing."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..loras import State

UNET = "diffusion_model"
# What a patcher may exchange in the model that is outside of the UNet and what it computes in.
HARMLESS = ("model_sampling", "latent_format", "concat_keys", "memory_usage_factor", "extra_conds")
# Options by which functions are called between a UNet's blocks, and in them.
INSIDE = ("block_modifiers", "block_inner_modifiers", "group_norm_wrapper")


def state(patcher: Any) -> State:
    """Returns what determines the UNet's weights besides its file: empty if nothing changes them."""
    if not touch_unet(patcher):
        return ()
    # Each change gives a new id. Older Forges have none, but files and strengths.
    loras = tuple(getattr(patcher, "lora_patches", None) or ())
    return (("patches", getattr(patcher, "patches_uuid", None) or loras or id(patcher)),)


def touch_unet(patcher: Any) -> bool:
    """Whether LoRAs, merges or the like change any of the UNet's weights."""
    return any(map(is_unets, _changed(patcher)))


def _changed(patcher: Any) -> Iterator[Any]:
    """The keys of weights that are changed: as ComfyUI and Forge Neo have them, and older Forges by LoRA."""
    yield from getattr(patcher, "patches", None) or ()
    for changed in (getattr(patcher, "lora_patches", None) or {}).values():
        yield from changed


def is_unets(key: Any) -> bool:
    """Whether a patch's key, or key and part of it, is of the UNet."""
    name = key if isinstance(key, str) else key[0] if isinstance(key, tuple) and key else ""
    return isinstance(name, str) and name.startswith(f"{UNET}.")


def obstacle(patcher: Any, options: Mapping[str, Any]) -> str | None:
    """Returns what is active that no engine includes, in words; None if nothing is. `options` are those that the UNet
    is called with."""
    return _of_patcher(patcher) or _of_options(options)


def _of_patcher(patcher: Any) -> str | None:
    injections = getattr(patcher, "injections", None)
    if injections:
        return f"something is injected into the model ({', '.join(map(str, injections))}), such as LoRAs in bypass mode"
    exchanged = [name for name in getattr(patcher, "object_patches", None) or {} if not is_harmless(name)]
    if exchanged:
        return f"somebody has exchanged the model's {exchanged[0]}"
    if getattr(patcher, "weight_wrapper_patches", None):
        return f"somebody computes {next(iter(patcher.weight_wrapper_patches))} anew in each call"
    hooks = (getattr(patcher, name, None) for name in ("hook_patches", "current_hooks", "forced_hooks"))
    if any(hooks):
        return "hooks change the weights within a job"
    if getattr(patcher, "has_online_lora", bool)():
        return "LoRAs are applied anew in each call ('fp16 LoRA' in 'Diffusion in Low Bits')"
    if is_in_part(patcher):
        return "the model is loaded only in part, and the other weights are not on the GPU"
    return None


def is_in_part(patcher: Any) -> bool:
    """Whether some of a model's weights stay in RAM. Under ComfyUI's dynamic VRAM they are fetched from there."""
    is_dynamic = getattr(patcher, "is_dynamic", bool)()
    return not is_dynamic and bool(getattr(getattr(patcher, "model", None), "model_lowvram", False))


def is_harmless(name: str) -> bool:
    """Whether a part of the model, by its path, has nothing to do with what the UNet computes."""
    return name.partition(".")[0] in HARMLESS


def _of_options(options: Mapping[str, Any]) -> str | None:
    patches = [name for name, each in (options.get("patches") or {}).items() if each]
    patches += [name for name, each in (options.get("patches_replace") or {}).items() if each]
    patches += [name for name in INSIDE if options.get(name)]
    if patches:
        return f"another part of the front end works inside of the UNet ({', '.join(map(str, patches))})"
    if options.get("optimized_attention_override") is not None:
        return "somebody has chosen how attention is computed"
    compiled = (options.get("wrappers") or {}).get("apply_model") or {}
    return "torch.compile is on" if "torch.compile" in compiled else None
