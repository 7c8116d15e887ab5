"""A custom node of ComfyUI: its own sampler, which prints where the time goes, in Python or on the GPU."""
import cProfile
import io
import pstats
import time

import nodes
import torch


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
        order = "self_cuda_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
        print(profile.key_averages().table(sort_by=order, row_limit=25, max_name_column_width=60), flush=True)
        print(f"all of it: {passed:.2f} s", flush=True)
        return found


NODE_CLASS_MAPPINGS = {"CheckProfile": Profile}
