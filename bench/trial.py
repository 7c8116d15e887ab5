"""A rewritten graph of a fixed shared engine: how it is named and built, and what it is measured with."""
import json

import rewrite

BATCH, SIZE, LARGE, TOKENS = 2, 512, 1024, 77
# The default's name.
DEFAULT = "default"
# What the library says of build routes.
ROUTES = "routes.txt"


def split_name(trial):
    """Returns the rewritings and the builder's options of a trial."""
    names, _, options = trial.partition("@")
    return names, dict(option.split("=") for option in options.split("@") if option)


def file_of(trial, size):
    return f"{trial}-{size}".translate(str.maketrans("+:,@=/", "......"))


def shapes(rewriting, size, tokens):
    """Returns the profile, of a single shape for each input."""
    fixed = {"sample": (BATCH, None, size // 8, size // 8), "timesteps": (BATCH,),
             "encoder_hidden_states": (BATCH, tokens, None)}
    given = {name: (BATCH if rows == "batch" else BATCH * tokens, None) for name, _, rows in rewriting.given}
    profile = {}
    for value in rewriting.graph.input:
        if shape := (fixed | given).get(value.name):
            dims = [d.dim_value for d in value.type.tensor_type.shape.dim]
            profile[value.name] = (tuple(want or has for want, has in zip(shape, dims)),) * 3
    return profile


def rewritten(folder, trial):
    import onnx

    return rewrite.rewrite(onnx.load(folder / "unet.onnx"), split_name(trial)[0])


def build(folder, trial, size, compute_capability=None):
    """Builds a plan, in its own process. Returns seconds."""
    import onnx
    import tensorrt_rtx_bindings as trt

    import engine

    options = split_name(trial)[1]
    at = folder / file_of(trial, size)
    rewriting = rewritten(folder, trial)
    onnx.save(rewriting.model, f"{at}.onnx")

    def configure(config):
        if trial == DEFAULT:
            (folder / ROUTES).write_text(config.all_build_routes or "")
        flag = lambda name, on: (config.set_flag if on else config.clear_flag)(getattr(trt.BuilderFlag, name))
        for name, value in options.items():
            if name == "level":
                config.builder_optimization_level = int(value)
            elif name == "tiling":
                config.tiling_optimization_level = getattr(trt.TilingOptimizationLevel, value)
            elif name == "route":
                config.build_route = value
            elif name == "tf32":
                flag("TF32", value == "1")
            elif name == "distributive":
                flag("DISTRIBUTIVE_INDEPENDENCE", value == "1")

    only = (compute_capability,) if compute_capability else ()
    profile = shapes(rewriting, size, int(options.get("tokens", TOKENS)))
    return engine.build(f"{at}.onnx", f"{at}.plan", [profile], only, configure)

class Bench:
    """Weights on the GPU, the cases and the expected outputs."""

    def __init__(self, folder, checkpoint, references=True):
        import torch

        import bindings
        import engine
        import measure
        from unet import UNet, load_weights

        torch.backends.cudnn.allow_tf32 = False
        torch.set_grad_enabled(False)
        self.folder, self.torch, self.engine, self.measure, self.UNet = folder, torch, engine, measure, UNet
        self.plain = load_weights(checkpoint, "cuda", torch.float16)
        self.unet = UNet(self.plain, "sdpa")
        binding = json.loads((folder / "unet.binding.json").read_text())["inputs"]
        self.weights = bindings.fill(binding, self.plain)
        self.cases = {size: measure.inputs(self.unet, BATCH, size) for size in (SIZE, LARGE)}
        kept = folder / "references.pt"
        if references or not kept.exists():
            self.expected = measure.references(checkpoint, self.cases)
            torch.save(self.expected, kept)
            torch.cuda.empty_cache()
        else:
            self.expected = torch.load(kept, map_location="cuda")

    def runner(self, trial, size):
        """Loads a trial's engine. Returns something to call, and the inputs."""
        rewriting = rewritten(self.folder, trial)
        names = {value.name for value in rewriting.graph.input}
        weights = {name: tensor for name, tensor in self.weights.items() if name in names}
        for name, (of, part, parts) in rewriting.cut.items():
            tensor = self.weights[of]
            axis = tensor.dim() - 1 if tensor.shape[-1] > 1 else 1
            weights[name] = tensor.chunk(parts, axis)[part].contiguous()
        case = dict(self.cases[size])
        tokens = int(split_name(trial)[1].get("tokens", TOKENS))
        context = case["encoder_hidden_states"]
        if tokens != TOKENS:
            case["encoder_hidden_states"] = context.repeat(1, 2, 1)[:, :tokens].contiguous()
        case |= self.given(rewriting, case)
        case = {name: tensor for name, tensor in case.items() if name in names}
        plan = self.folder / f"{file_of(trial, size)}.plan"
        return self.engine.Engine(plan, weights, f"{plan}.cache"), case

    def given(self, rewriting, case):
        """Computes what the caller passes instead of the engine."""
        torch, found, begin = self.torch, {}, {}
        sizes = {v.name: v.type.tensor_type.shape.dim[1].dim_value for v in rewriting.graph.input
                 if v.name in {name for name, *_ in rewriting.given}}
        embedded = None
        for name, weight, rows in rewriting.given:
            at = begin.get(weight, 0)
            begin[weight] = at + sizes[name]
            matrix = self.weights[weight][at:at + sizes[name]].float()
            if rows == "batch":
                if embedded is None:
                    embedded = torch.nn.functional.silu(self.embedding(case["timesteps"]).float())
                bias = self.weights[weight.replace("weight", "bias")][at:at + sizes[name]].float()
                found[name] = (embedded @ matrix.T + bias).half()
            else:
                context = case["encoder_hidden_states"].float()
                found[name] = (context.flatten(0, 1) @ matrix.T).half()
        return found

    def embedding(self, timesteps):
        import math

        half = self.unet.time_embed[0].in_features // 2
        order = self.torch.arange(half, dtype=self.torch.float32, device="cuda")
        angles = timesteps[:, None] * self.torch.exp(order * (-math.log(10_000) / half))
        return self.unet.time_embed(self.torch.cat([angles.cos(), angles.sin()], dim=1).half())

    def error(self, latent, size):
        self.torch.cuda.synchronize()
        return self.measure.relative_error(latent, self.expected[size])

    def last(self):
        weights = {name: t.to(memory_format=self.torch.channels_last) if t.dim() == 4 else t
                   for name, t in self.plain.items()}
        return self.UNet(weights, "sdpa")

    def times(self, runners, turns=5, count=10):
        """Milliseconds of calls in turns, by name; each runner has its own inputs."""
        for run, case in runners.values():
            for _ in range(3):
                run(**case)
        self.torch.cuda.synchronize()
        times = {name: [] for name in runners}
        for _ in range(turns):
            for name, (run, case) in runners.items():
                times[name] += self.measure.timed(run, case, count)
        return times
