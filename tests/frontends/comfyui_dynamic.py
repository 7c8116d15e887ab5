"""Checks on a CPU what ComfyUI has on a GPU alone: the weights that are fetched from a dynamic patcher are those that a
static one has in its layers. `comfyui.py` runs it with ComfyUI's Python.

The patcher is ComfyUI's own. It is only kept from falling back to the static one, and its pinned memory, which needs a
driver, is a stand-in.
"""
import sys
from pathlib import Path

COMFYUI, EXTENSION, CHECKPOINT, *HELPERS = sys.argv[1:]
sys.argv = ["main.py", "--cpu"]
sys.path[:0] = [COMFYUI, EXTENSION]

import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()

import comfy_aimdo.host_buffer  # noqa: E402
import torch  # noqa: E402
from comfy import memory_management, model_management, model_patcher, ops, sd, weight_adapter  # noqa: E402

from sdtrt.binding import Input  # noqa: E402
from sdtrt.comfyui.dynamic import Patched  # noqa: E402
from sdtrt.packed import Packed, size_of  # noqa: E402


class HostBuffer:
    size = 0

    def __init__(self, *sizes):
        pass

    def truncate(self, *args, **kwargs):
        pass


def main():
    for helpers in HELPERS:
        exec(compile(Path(helpers).read_text(), helpers, "exec"), {"__name__": "helpers"})
    with torch.inference_mode():
        static = load()
        assert not getattr(static, "is_dynamic", lambda: False)()
        expected = {}
        for strength in (None, 1.0, 0.5):
            patched = with_patches(static, strength)
            model_management.load_models_gpu([patched])
            parameters = patched.model.diffusion_model.named_parameters()
            expected[strength] = {name: found.clone() for name, found in parameters}
        make_dynamic()
        dynamic = load()
        assert dynamic.is_dynamic()
        packed, fetched = Packed(), []
        for strength in (None, 1.0, 0.5, None):
            patched = with_patches(dynamic, strength)
            # A job, and the same once more.
            for _ in range(2):
                model_management.load_models_gpu([patched])
                fetched.append(compare(packed, patched, expected[strength]))
        assert max(fetched[1::2]) == 0, f"nothing is fetched again for the same patches: {fetched}"
        assert 0 < max(fetched[1:]) < fetched[0], f"only what has changed is fetched again: {fetched}"
        assert patched.backup, "small layers are loaded patched"
        compare_computed(dynamic)
        loaded = [type(each.model).__name__ for each in model_management.current_loaded_models]
        assert "Room" in loaded, loaded
        model_patcher.ModelPatcherDynamic.partially_unload = lambda *args, **kwargs: 1e32
        room = packed._memory
        model_management.unload_all_models()
        assert room.loaded_size() == 0, "the manager takes the memory back"
        model_management.load_models_gpu([patched])
        assert compare(packed, patched, expected[None], fresh=False) == fetched[0], "and it is fetched again"
    print(f"dynamic patcher: {len(expected[None])} weights are those of the static one; fetched {fetched}")


def load():
    return sd.load_checkpoint_guess_config(CHECKPOINT, output_vae=False, output_clip=False)[0]


def make_dynamic():
    comfy_aimdo.host_buffer.HostBuffer = HostBuffer
    kind = model_patcher.ModelPatcherDynamic
    kind.__new__ = staticmethod(lambda kind, *args, **kwargs: object.__new__(kind))
    model_patcher.CoreModelPatcher = kind


def with_patches(patcher, strength):
    """Returns a clone in which some of the attention's weights are changed."""
    patched = patcher.clone()
    if strength is not None:
        noise = torch.Generator().manual_seed(1)
        found = {key: of for key, of in patcher.model.state_dict().items() if ".attn2.to_" in key and of.dim() == 2}
        diff = lambda of: ("diff", (torch.randn(of.shape, generator=noise) * 0.1,))
        patched.add_patches({key: diff(of) for key, of in found.items()}, strength)
    return patched


def compare(packed, patcher, expected, fresh=True):
    """Compares what an engine would read with these weights; returns how many were fetched of those that are not loaded
    with the model, as small ones are, anew each time."""
    unet = patcher.model.diffusion_model
    source = Patched(patcher, unet)
    table = tuple(row(name, tuple(of.shape)) for name, of in expected.items())
    fetched, fetch = [], source.fetch
    source.fetch = lambda name: (fetched.append(name), fetch(name))[1]
    addresses = packed.follow(unet, source, table, fresh)
    buffer = packed._memory.buffer
    for each in table:
        start = addresses[each.name] - buffer.data_ptr()
        found = buffer[start : start + size_of(each)].view(torch.float16).view(each.shape).float()
        found = found.permute(0, 3, 1, 2) if each.layout == "ohwi" else found
        wanted = expected[each.name].float()
        # In fp16, with one rounding more.
        assert torch.allclose(found, wanted, rtol=2e-3, atol=1e-3), (each.name, (found - wanted).abs().max())
    return sum(f"diffusion_model.{name}" not in patcher.backup for name in fetched)


def compare_computed(dynamic):
    """Compares weights that engines read with those that ComfyUI's layers compute with in fp16, where it computes
    patches otherwise than in fp32: OFT fails there."""
    for kind, make in (("LoRA", lora), ("OFT", oft)):
        patched = dynamic.clone()
        found = {key: of for key, of in dynamic.model.state_dict().items() if ".attn2.to_k." in key and of.dim() == 2}
        patched.add_patches({key: make(of.shape) for key, of in found.items()}, 0.8)
        model_management.load_models_gpu([patched])
        unet, patched.model.manual_cast_dtype = patched.model.diffusion_model, torch.float16
        source, compared = Patched(patched, unet), 0
        for key in found:
            name = key.removeprefix("diffusion_model.")
            layer = unet.get_submodule(name.removesuffix(".weight"))
            if getattr(layer, "weight_lowvram_function", None) is not None:
                assert torch.equal(source.fetch(name).half(), computed(layer)), (kind, name)
                compared += 1
        patched.model.manual_cast_dtype = None
        assert compared, "no layer is large enough to be patched when it computes"
        print(f"dynamic patcher, {kind}: {compared} weights are those that layers compute with in fp16")


def computed(layer):
    """Returns the weight that ComfyUI's own code computes with, which it only does on a GPU."""
    parts = [layer.weight, layer.bias]
    geometry = memory_management.tensors_to_geometries(parts)
    gathered = torch.empty(memory_management.vram_aligned_size(geometry), dtype=torch.uint8)
    for into, of in zip(memory_management.interpret_gathered_like(geometry, gathered), parts, strict=True):
        if of is not None:
            into.copy_(of)
    layer._prefetch = {"resident": False, "xfer_dest": gathered, "needs_cast": False, "cast_geometry": geometry,
                       "signature": None}
    try:
        return ops.resolve_cast_module_with_vbar(layer, torch.float16, None, torch.float16, None, False)[0]
    finally:
        del layer._prefetch


def lora(shape):
    up, down = torch.randn(shape[0], 4) * 0.05, torch.randn(4, shape[1]) * 0.05
    return weight_adapter.LoRAAdapter(set(), (up, down, 4.0, None, None, None))


def oft(shape):
    return weight_adapter.OFTAdapter(set(), (torch.randn(4, shape[0] // 4, shape[0] // 4) * 0.02, None, 1.0, None))


def row(name, shape):
    if len(shape) == 4:
        return Input(name, (shape[0], *shape[2:], shape[1]), (name,), "ohwi")
    return Input(name, shape, (name,), "plain")


main()
