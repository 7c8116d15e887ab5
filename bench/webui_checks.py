"""Checks the extension with one checkpoint."""
import contextlib
import time

import torch

import measure
import webui_engines
from measure import relative_error
from stand_in import Lora

# Against PyTorch in fp32; the extension itself compares with PyTorch.
BOUND = 2e-2
# The extension's overhead over the engine's own time, and the cost of a change of engines.
OVERHEAD_MS, CHANGE_MS = 0.15, 10.0


class Bench:
    """The extension's UNet for a checkpoint loaded in the web UI."""

    def __init__(self, webui, table, data, checkpoint):
        # Only once the stand-ins exist.
        from sdtrt import a1111
        from sdtrt.gpu import Gpu
        from sdtrt.index import IndexFile
        from sdtrt.options import Catalogue
        from sdtrt.place import Place
        from sdtrt.unet import Unet

        self.webui, self.table, self.checkpoint = webui, table, checkpoint
        self.lines = []
        a1111.say = lambda line: (self.lines.append(line), print(f"    | {line}"))
        place = Place(data)
        file = IndexFile(place.index)
        file.refresh()
        self.index = file.index
        self.unet = Unet(Catalogue(file), place, Gpu(place, a1111.say), a1111)
        self.load()

    def load(self, dtype=torch.float16, spoiled=False):
        """Loads the checkpoint, or a modified one, as another object."""
        unet = webui_engines.torch_unet(self.checkpoint, dtype)
        if spoiled:
            unet.middle_block[0].in_layers[2].weight.mul_(0.5)
        self.webui.load(self.checkpoint, unet)
        self.unet.start_job()
        return unet

    @property
    def torch(self):
        return self.webui.unet

    @property
    def engines(self):
        return self.index.shared(self.unet.looks.signature(self.torch))

    def __call__(self, **inputs):
        """Makes a call as A1111 does."""
        inputs = dict(inputs)
        x, timesteps, context = (inputs.pop(name) for name in ("sample", "timesteps", "encoder_hidden_states"))
        return self.unet.forward(x, timesteps, context, **inputs)

    def served(self, what, inputs, by_torch=False, said=""):
        """Makes a call, and a row with its error and who computed it."""
        before, lines = self.webui.torch_calls, len(self.lines)
        latent = self(**inputs)
        count = self.webui.torch_calls - before
        fp16, fp32 = (
            relative_error(latent, webui_engines.reference(self.torch, inputs, dtype))
            for dtype in (torch.float16, torch.float32)
        )
        holds = fp32 <= BOUND and (count > 0) == by_torch and said in " ".join(self.lines[lines:])
        self.table.row(what, holds, fp16=fp16, fp32=fp32, by="PyTorch" if count else "engine")
        return latent


def all_of(bench):
    if not bench.engines:
        bench.table.row("engines of this signature", False)
        return
    shapes = webui_engines.shapes(bench.engines)
    for shape in shapes:
        speed(bench, shape)
    usual = webui_engines.case(bench.torch, shapes[0])
    changes(bench, [webui_engines.case(bench.torch, shape) for shape in shapes[:2]])
    streams(bench, usual)
    loras(bench, usual)
    moves(bench, usual)
    types(bench, usual)
    models(bench, usual)
    errors(bench, usual)


def speed(bench, shape):
    """Checks a shape's output, and compares its time with the engine's own and PyTorch's."""
    inputs = webui_engines.case(bench.torch, shape)
    # The first call is compared with PyTorch, if it was not before.
    bench(**inputs)
    is_slower = any("takes" in line and str(shape) in line for line in bench.lines[-2:])
    first = bench.served(str(shape), inputs, by_torch=is_slower)
    bench.table.row(f"{shape}, the same bits", torch.equal(first, bench(**inputs)))
    served = next(iter(bench.unet.subject.answers.values()), None)
    if served is None:
        # PyTorch is faster, or no engine fits; the log lines say which.
        return
    entry, profile = served
    gpu, places = bench.unet.gpu, bench.unet.looks.places(bench.torch)
    engine, table = gpu._engines.get(entry)
    addresses = gpu._weights.follow(bench.torch, places, table, False)
    runners = {
        "forward": bench, "engine": lambda **inputs: engine(profile, inputs, addresses),
        "PyTorch": lambda **inputs: bench.torch(**inputs),
    }
    took = measure.latencies({name: runners[name] for name in ("forward", "engine")}, inputs, 1.0)
    gpu.restore(bench.torch)
    took |= measure.latencies({"PyTorch": runners["PyTorch"]}, inputs, 1.0)
    over = took["forward"] - took["engine"]
    bench.table.row(f"{shape}, ms", over <= OVERHEAD_MS, **took)
    bench.unet.start_pass()


def changes(bench, cases):
    """Compares alternating calls with calls in a row."""
    if len(cases) < 2:
        return
    took = []
    for turns in ([0] * 10 + [1] * 10, [0, 1] * 10):
        for number in (0, 1):
            bench(**cases[number])
        torch.cuda.synchronize()
        start = time.monotonic()
        for number in turns:
            bench(**cases[number])
        torch.cuda.synchronize()
        took.append((time.monotonic() - start) * 1e3 / 20)
    bench.table.row("a change of shape, ms", took[1] - took[0] <= CHANGE_MS, in_a_row=took[0], by_turns=took[1])


def streams(bench, inputs):
    """A call's output is ordered on its own stream, whatever else the GPU is doing."""
    expected = bench(**inputs)
    for name, stream in (("default", torch.cuda.default_stream()), ("another", torch.cuda.Stream())):
        torch.cuda.synchronize()
        with torch.cuda.stream(stream):
            bench(**inputs)
            torch.cuda.synchronize()
            torch.cuda._sleep(1_000_000_000)
            holds = torch.equal(bench(**inputs), expected)
        bench.table.row(f"the same bits on the {name} stream", holds)


def loras(bench, inputs):
    plain = bench(**inputs)
    one = Lora("one", bench.torch, ("attn1.to_", "attn2.to_"), 4, 1.0, 1)
    two = Lora("two", bench.torch, ("in_layers.2", "ff.net", "emb_layers"), 8, -0.5, 2)
    for name, networks in (("one", [one]), ("two", [one, two]), ("the second", [two])):
        bench.webui.networks.loaded_networks = networks
        torch.cuda.synchronize()
        start = time.monotonic()
        latent = bench(**inputs)
        torch.cuda.synchronize()
        took = time.monotonic() - start
        bench.table.row(f"LoRAs: {name}, change", relative_error(latent, plain) > 5e-2, seconds=took)
        bench.served(f"LoRAs: {name}", inputs)
    bench.webui.networks.loaded_networks = []
    bench.table.row("LoRAs off, the same bits", torch.equal(bench(**inputs), plain))
    weight = bench.torch.input_blocks[1][0].in_layers[2].weight
    weight.mul_(2)
    bench.served("a weight written in place", inputs)
    weight.div_(2)


def moves(bench, inputs):
    plain = bench(**inputs)
    for what, do in (
        ("to the CPU and back", lambda: bench.torch.to("cpu").to("cuda")),
        ("on the CPU", lambda: (bench.torch.to("cpu"), bench.unet.start_pass())),
        ("channels last", lambda: bench.torch.to(memory_format=torch.channels_last)),
        ("contiguous", lambda: bench.torch.to(memory_format=torch.contiguous_format)),
    ):
        do()
        latent = bench.served(what, inputs)
        bench.table.row(f"{what}, the same bits", torch.equal(latent, plain))


def types(bench, inputs):
    """Weights that are not fp16 are copied, and again at each pass."""
    for dtype in (torch.float32, torch.bfloat16):
        bench.load(dtype)
        bench.served(f"weights of {dtype}", inputs)
        bench.torch.out[2].weight.data.mul_(2)
        bench.unet.start_pass()
        bench.served(f"weights of {dtype}, written", inputs)
    bench.load(torch.float32).out[2].bias.data[0] = 7e4
    bench(**inputs)
    bench.table.row("a weight outside fp16's range", any("out.2.bias goes up to" in line for line in bench.lines))
    bench.load()


def models(bench, inputs):
    plain, one = bench(**inputs), bench.torch
    bench.load(spoiled=True)
    other = bench.served("another model", inputs)
    bench.table.row("another model, another latent", relative_error(other, plain) > 1e-3)
    bench.webui.load(bench.checkpoint, one)
    bench.table.row("the first again, the same bits", torch.equal(bench(**inputs), plain))


def errors(bench, inputs):
    """After an error PyTorch computes, and the next job uses the engine again."""
    for loaded in bench.unet.gpu._engines._loaded.values():
        loaded[1].context = None
    bench.served("an engine that fails", inputs, by_torch=True, said="PyTorch computes instead")
    bench.unet.start_job()
    bench.served("the engine, at the next job", inputs)
    held = bench.torch.out[0]._parameters
    weight, held["weight"] = held["weight"], torch.nn.Parameter(torch.ones(1, device="meta"))
    bench.unet.start_job()
    # PyTorch's own errors.
    with contextlib.suppress(RuntimeError, NotImplementedError):
        bench(**inputs)
    held["weight"] = weight
    said = ("no engine for UNets", "is not a plain", "can't be made ready")
    refused = any(word in line for line in bench.lines for word in said)
    bench.table.row("a weight without data is not read", refused)
    bench.unet.start_job()
    bench.served("the weight again", inputs)
    torch.cuda.synchronize()
