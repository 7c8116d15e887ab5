"""Custom nodes of ComfyUI: its own sampler, which prints where the time goes, in Python or on the GPU. The server also
tells where the loaded models are, at /check/memory."""
import cProfile
import io
import pstats
import time

import comfy.model_management
import nodes
import torch
from aiohttp import web

import server

ROWS = 25


class Profile(nodes.KSampler):
    CATEGORY, FUNCTION = "check", "run"

    @classmethod
    def INPUT_TYPES(cls):
        inputs = nodes.KSampler.INPUT_TYPES()
        return inputs | {"required": inputs["required"] | {"what": (["Python", "GPU"],)}}

    def run(self, what, **inputs):
        if what == "Python":
            profile = cProfile.Profile()
            found = profile.runcall(self.sample, **inputs)
            text = io.StringIO()
            pstats.Stats(profile, stream=text).sort_stats("tottime").print_stats(30)
            print(text.getvalue(), flush=True)
            return found
        kinds = [torch.profiler.ProfilerActivity.CPU]
        kinds += [torch.profiler.ProfilerActivity.CUDA] * torch.cuda.is_available()
        begin = time.monotonic()
        with torch.profiler.profile(activities=kinds) as profile:
            found = self.sample(**inputs)
        passed = time.monotonic() - begin
        events = profile.key_averages()
        for order in ("self_cuda_time_total", "self_cpu_time_total")[not torch.cuda.is_available():]:
            print(events.table(sort_by=order, row_limit=ROWS, max_name_column_width=60), flush=True)
        print(f"all of it: {passed:.2f} s", flush=True)
        return found


def memory():
    """Returns a line for each loaded model: how much of it is on the GPU, and how its first kernel lies there."""
    lines = []
    for loaded in comfy.model_management.current_loaded_models:
        patcher = loaded.model
        if patcher is None:
            continue
        parts = [f"{type(patcher.model).__name__}, {type(patcher).__name__}",
                 f"{patcher.loaded_size() >> 20} of {patcher.model_size() >> 20} MiB on the GPU"]
        vbar = patcher._vbar_get() if hasattr(patcher, "_vbar_get") else None
        if vbar is not None:
            resident = sum(page & 1 for page in vbar.get_residency())
            parts += [f"{resident} pages of {vbar.get_nr_pages()}, watermark {vbar.get_watermark()}",
                      f"{patcher.pinned_memory_size() >> 20} MiB pinned"]
        kernel = next((p for p in patcher.model.parameters() if p.ndim == 4 and p.shape[-1] == 3), None)
        if kernel is not None:
            parts.append(f"{kernel.dtype}, {kernel.device}, strides {kernel.stride()} of {tuple(kernel.shape)}")
        lines.append("; ".join(parts))
    return lines


@server.PromptServer.instance.routes.get("/check/memory")
async def tell_memory(request):
    # It reads what is ComfyUI's own: where another version has it otherwise, the check goes on.
    try:
        return web.json_response(memory())
    except (AttributeError, RuntimeError, TypeError) as error:
        return web.json_response([f"not known: {error!r}"])


NODE_CLASS_MAPPINGS = {"CheckProfile": Profile}
