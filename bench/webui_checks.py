"""What is checked of the extension, one engine at a time."""
import time

import torch

import engine as raw
import measure
from measure import relative_error
from stand_in import Lora, merged
from unet import UNet, load_weights

# Per call, over the engine's own time.
OVERHEAD_MS = 0.15
# (batch, height, width, tokens) of latents that the fixtures leave out.
MORE_CASES = [(6, 15, 17, 77), (2, 16, 16, 77), (1, 33, 7, 154), (2, 9, 13, 154), (6, 40, 24, 154)]


def all_of(report, webui, subject, data):
    bench = Bench(webui, subject, data)
    if subject.manifest is None:
        # As an engine that the daemon knows to be right.
        bench.unet.place.proofs.known[subject.id, bench.unet.checkpoint.unet] = 0.0
        report.error("full size", bench.error(first_case(subject)))
        if subject.kind == "shared":
            loras(report, bench)
        latency(report, bench)
        return
    proof(report, bench)
    shapes(report, bench)
    streams(report, bench)
    handing_over(report, bench)
    if subject.kind == "shared":
        loras(report, bench)
    else:
        loras_on_fixed_weights(report, bench)
    latency(report, bench)
    failed_proof(report, webui, subject, data / "second")


class Bench:
    """The extension's UNet for a checkpoint that the web UI has loaded."""

    def __init__(self, webui, subject, data, spoil=False):
        # After the stand-ins are there.
        from sdtrt import a1111, index
        from sdtrt.place import Place
        from sdtrt.unet import Unet

        self.webui, self.subject = webui, subject
        unet = subject.torch_unet(torch.float16, "cpu")
        if spoil:
            unet.out[2].weight *= 1.1
        webui.networks.loaded_networks = []
        webui.load(subject.checkpoint, unet)
        self.lines = []
        a1111.say = lambda line: (self.lines.append(line), print(f"     | {line}"))
        checkpoint = index.parse(subject.index()).checkpoints[0]
        self.unet = Unet(checkpoint, str(subject.checkpoint), Place(data), a1111)
        self.reference = subject.torch_unet(torch.float32, "cuda")
        self.unet.activate()

    def __call__(self, **case):
        """A call as A1111 makes it."""
        context = case.pop("encoder_hidden_states")
        return self.unet.forward(case.pop("sample"), case.pop("timesteps"), context, **case)

    def expected(self, case):
        return self.reference(**{name: tensor.float() for name, tensor in case.items()})

    def error(self, case, expected=None):
        expected = self.expected(case) if expected is None else expected
        return relative_error(self(**case), expected)

    def torch_calls(self, case):
        """How often PyTorch computed while this was called, and what came of it."""
        before = self.webui.torch_calls
        latent = self(**case)
        return self.webui.torch_calls - before, latent

    def profile(self):
        return self.unet.engine.context.active_optimization_profile


def first_case(subject):
    profile = subject.profiles[0]
    side, batch = profile["side"][1], profile["batch"][1]
    return subject.case(batch, side, side, measure.TOKENS)


def proof(report, bench):
    case = first_case(bench.subject)
    count, latent = bench.torch_calls(case)
    report.error("first call", relative_error(latent, bench.expected(case)))
    report.check("first call is also computed by PyTorch", count == 1, f"{count} calls")
    path = bench.unet.place.proofs.path(bench.subject.id, bench.unet.checkpoint.unet)
    report.check("the comparison is kept", path.exists(), path.read_text() if path.exists() else "")
    count, _ = bench.torch_calls(case)
    report.check("the next call is the engine's alone", count == 0)
    parameter = next(bench.webui.unet.parameters())
    report.check("PyTorch's UNet is back on the CPU", not parameter.is_cuda)
    engine = bench.unet.engine
    most = engine.engine.get_device_memory_size_for_profile_v2(0)
    report.tell("memory lent for a call", f"{engine.lent / 1e6:.1f} MB, profile 0 at its largest {most / 1e6:.1f} MB")


def shapes(report, bench):
    """Batches, sizes and token counts, each also right after a call by the other profile."""
    used = set()
    cases = list(bench.subject.golden_cases())
    more = (bench.subject.case(*shape, seed) for seed, shape in enumerate(MORE_CASES))
    cases += [(case, bench.expected(case)) for case in more]
    before = bench.webui.torch_calls
    for turn in ("", " again"):
        for case, expected in cases:
            error = bench.error(case, expected)
            used.add(bench.profile())
            what = f"{tuple(case['sample'].shape)}, {case['encoder_hidden_states'].shape[1]} tokens"
            report.error(f"{what}, profile {bench.profile()}{turn}", error)
    report.check("both profiles were used", used == {0, 1}, str(used))
    calls = bench.webui.torch_calls - before
    report.check("PyTorch computed none of them", calls == 0, f"{calls} calls")
    wide = {name: tensor.float() for name, tensor in cases[0][0].items()}
    report.error("inputs of fp32", bench.error(wide, cases[0][1]))


def streams(report, bench):
    """The CPU goes on at once, whatever the GPU has before it, on the default stream and on another."""
    case = first_case(bench.subject)
    expected = bench(**case)
    for name, stream in (("default", torch.cuda.default_stream()), ("another", torch.cuda.Stream())):
        torch.cuda.synchronize()
        with torch.cuda.stream(stream):
            bench(**case)
            torch.cuda.synchronize()
            torch.cuda._sleep(1_000_000_000)
            start = time.monotonic()
            torch.cuda.set_sync_debug_mode("error")
            latent = bench(**case)
            torch.cuda.set_sync_debug_mode("default")
            waited = time.monotonic() - start
            behind = not stream.query()
            same = torch.equal(latent, expected)
        report.check(f"no wait on the {name} stream", behind and waited < 0.1, f"{waited * 1e3:.2f} ms")
        report.check(f"the same result on the {name} stream", same)


def handing_over(report, bench):
    """Whatever an engine can't do, PyTorch does, and it is said."""
    webui, subject = bench.webui, bench.subject
    info, unet = webui.info, webui.unet
    usual = subject.case(2, 16, 16, 77)

    def check(what, case, said):
        bench.unet.start_job()
        del bench.lines[:]
        count, latent = bench.torch_calls(case)
        error = relative_error(latent, bench.expected(case))
        line = " ".join(bench.lines)
        report.check(what, count == 1 and error <= 2e-2 and said in line, f"{count} calls, error {error:.1e}")

    check("outside of the profiles", subject.case(2, 65, 16, 77), "sdtrtctl check 128x520 --batch 1")
    check("a prompt too long", subject.case(2, 16, 16, 308), "--tokens 300")
    loaded, info.filename = info.filename, "/another.safetensors"
    check("another checkpoint", usual, "another checkpoint")
    info.filename = loaded
    unet.forward = unet.forward
    check_engine(report, bench, "ControlNet's leavings", usual)
    unet.forward = lambda *args, **kwargs: type(unet).forward(unet, *args, **kwargs)
    check("ControlNet", usual, "ControlNet")
    del unet.forward
    bench.unet.engine.context = None
    check("an engine that fails", usual, "PyTorch computes instead")
    check_engine(report, bench, "the engine, once more", usual)


def check_engine(report, bench, what, case):
    bench.unet.start_job()
    count, latent = bench.torch_calls(case)
    error = relative_error(latent, bench.expected(case))
    report.check(what, count == 0 and error <= 2e-2, f"{count} calls by PyTorch, error {error:.1e}")


def some_loras(subject):
    """Three of different kinds of layers, ranks and strengths, which meet in some."""
    weights = load_weights(subject.checkpoint)
    of = lambda *parts: [n for n in weights if n.endswith(".weight") and any(p in n for p in parts)]
    return weights, [
        Lora("attention", weights, of("attn1.to_", "attn2.to_"), 4, 1.0, 1),
        Lora("all", weights, of("to_q", "to_v", "ff.net", "in_layers.2", "proj_in"), 8, -0.5, 2),
        Lora("convolutions", weights, of("in_layers.2", "out_layers.3", "skip_connection"), 2, 0.7, 3),
    ]


def loras(report, bench):
    case = first_case(bench.subject)
    weights, all_three = some_loras(bench.subject)
    plain = bench(**case)
    before = bench.webui.torch_calls
    sets = {"one": all_three[:1], "two": all_three[:2], "three": all_three, "the last": all_three[2:]}
    for name, networks in sets.items():
        bench.webui.networks.loaded_networks = networks
        torch.cuda.synchronize()
        start = time.monotonic()
        latent = bench(**case)
        torch.cuda.synchronize()
        seconds = time.monotonic() - start
        wide = {n: t.float().cuda() for n, t in merged({n: t.half() for n, t in weights.items()}, networks).items()}
        expected = UNet(wide, "sdpa")(**{n: t.float() for n, t in case.items()})
        report.error(f"LoRA {name}", relative_error(latent, expected))
        change = relative_error(latent, plain.float())
        report.check(f"LoRA {name} changes the image", change > 5e-2, f"by {change:.1e}, first call {seconds:.2f} s")
    bench.webui.networks.loaded_networks = []
    off = bench(**case)
    report.check("LoRAs off", torch.equal(off, plain), f"differs by {relative_error(off, plain.float()):.1e}")
    calls = bench.webui.torch_calls - before
    report.check("PyTorch computed none of them", calls == 0, f"{calls} calls")


def loras_on_fixed_weights(report, bench):
    case = first_case(bench.subject)
    _, networks = some_loras(bench.subject)
    bench.unet.start_job()
    bench.webui.networks.loaded_networks = networks[:2]
    del bench.lines[:]
    count, _ = bench.torch_calls(case)
    report.check("LoRAs on fixed weights are PyTorch's", count == 1 and "shared" in " ".join(bench.lines))
    bench.webui.networks.loaded_networks = []
    check_engine(report, bench, "LoRAs off", case)


def failed_proof(report, webui, subject, data):
    bench = Bench(webui, subject, data, spoil=True)
    case = first_case(subject)
    torch_result = webui.torch_forward(
        webui.unet.cuda(), case["sample"], case["timesteps"],
        case["encoder_hidden_states"], case.get("y"),
    )
    for turn in ("first", "second"):
        count, latent = bench.torch_calls(case)
        error = relative_error(latent, torch_result.float())
        holds = count == 1 and error < 1e-3 and bench.unet.engine is None
        report.check(f"an engine that is far off is not used, {turn} call", holds, f"error {error:.1e}")


def latency(report, bench):
    """Of the extension's forward beside the engine alone, as the GPU sees both."""
    case = first_case(bench.subject)
    bench(**case)
    if bench.subject.kind == "shared":
        # The raw engine has no weights of its own.
        alone = lambda **inputs: bench.unet.engine(0, inputs)
    else:
        alone = raw.Engine(bench.subject.plan)
    for name, stream in (("default", torch.cuda.default_stream()), ("another", torch.cuda.Stream())):
        torch.cuda.synchronize()
        with torch.cuda.stream(stream):
            found = measure.latencies({"forward": bench, "engine": alone}, case, 1.0)
        torch.cuda.synchronize()
        over = found["forward"] - found["engine"]
        what = f"forward on the {name} stream"
        report.check(what, over <= OVERHEAD_MS, f"{found['forward']:.3f} ms, engine alone {found['engine']:.3f} ms")
    start = time.perf_counter()
    for _ in range(20):
        bench(**case)
    cpu = (time.perf_counter() - start) / 20
    torch.cuda.synchronize()
    report.tell("the CPU's time for a call", f"{cpu * 1e3:.3f} ms")
