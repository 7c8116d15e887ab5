"""Tries rewritten graphs and builder options of a fixed shared engine, on an NVIDIA GPU.

`trials.py prepare FOLDER CHECKPOINT` may run beside other work: it builds each trial's engine for the sizes below,
compiles its kernels, and takes its error against PyTorch in fp32. Then it chooses groups of convolutions to sum in
fp32, greedily by error per time, and builds these together too. `trials.py measure FOLDER CHECKPOINT` must be alone
on the GPU: it times each in turns with the default engine, and PyTorch's ways beside it.

FOLDER has unet.onnx and unet.binding.json, as `sdtrtctl export --weights-as-inputs` writes them. A trial is
rewritings (rewrite.py), then `@` and options of the builder, as `silu@level=5`.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import rewrite
from trial import BATCH, DEFAULT, LARGE, ROUTES, SIZE, TOKENS, Bench, build, file_of

# Seconds that a build and its kernels may take.
LIMIT = 240
# How many times PyTorch's error a set of groups should come down to.
TARGETS = (2.8, 2.4, 2.15, 2.0, 1.85, 1.7, 1.6)
SETS = "sets.json"
FOUND = "prepared.jsonl"
# Groups by what was expected of them, and what is tried on each.
SINGLES = [f"cast:{group}" for group in rewrite.GROUPS]
WHOLE = ["cast:all", "split2:all", "split4:all", "gemm:all"]
FORMS = ["kv", "shifts", "kv+shifts", "silu", "norms", "linear:ff", "linear:ff,rest", "half-gemm:8"]
OPTIONS = ["@level=5", "@level=4", "@level=2", "@tiling=FAST", "@tiling=MODERATE", "@tiling=FULL", "@tokens=80",
           "@tokens=64", "@distributive=1", "cast:all@tf32=0"]
AT_LARGE = [DEFAULT, "kv+shifts", "@tiling=FULL", "@level=5", "cast:all"]


def built(options):
    """Builds a plan and compiles this GPU's kernels, from those of the default on."""
    import engine

    folder, trial, size = options.folder, options.trial, options.size
    at = folder / file_of(trial, size)
    began = time.monotonic()
    seconds = build(folder, trial, size)
    kernels = folder / f"{file_of(DEFAULT, size)}.plan.cache"
    if kernels.exists() and trial != DEFAULT:
        shutil.copy(kernels, f"{at}.kernels")
    warm = engine.Engine(f"{at}.plan", cache=f"{at}.kernels")
    warm.keep()
    os.rename(f"{at}.kernels", f"{at}.plan.cache")
    print(json.dumps({"build": round(seconds, 1), "kernels": round(time.monotonic() - began - seconds, 1)}))


def compiled(job):
    """Does that in its own process, which may crash or hang."""
    folder, trial, size = job
    command = [sys.executable, __file__, "build", folder, "-", "--trial", trial, "--size", size]
    try:
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=LIMIT)
        if done.returncode:
            return job, {"problem": f"{done.returncode}: {done.stderr[-400:]}"}
        return job, json.loads(done.stdout.splitlines()[-1])
    except Exception as error:
        return job, {"problem": str(error)[-200:]}


def jobs(groups):
    """Yields trials and sizes by what matters most; with `groups` single groups of convolutions alone."""
    if groups:
        yield from ((trial, SIZE) for trial in SINGLES)
        return
    first = [WHOLE[0], *FORMS[:4], *SINGLES, *WHOLE[1:], *FORMS[4:], *OPTIONS]
    yield from ((trial, SIZE) for trial in first)
    yield from ((trial, LARGE) for trial in AT_LARGE)


def greedy(found, torch_error):
    """Returns sets of `how:group` that should come down to each target, cheapest first."""
    base = found[DEFAULT]
    gains = {}
    for trial in SINGLES:
        if "error" in found.get(trial, {}):
            how, group = trial.split(":")
            gain = base["error"] ** 2 - found[trial]["error"] ** 2
            rate = gain / max(found[trial]["ratio"] - 1, 0.001)
            if gain > 0 and rate > gains.get(group, (0,))[0]:
                gains[group] = rate, gain, how
    sets, chosen, left = [], {}, base["error"] ** 2
    targets = list(TARGETS)
    for group, (_, gain, how) in sorted(gains.items(), key=lambda item: -item[1][0]):
        chosen.setdefault(how, []).append(group)
        left -= gain
        while targets and left <= (targets[0] * torch_error) ** 2:
            target = targets.pop(0)
            sets.append((target, "+".join(f"{how}:{','.join(groups)}" for how, groups in chosen.items())))
    if targets and chosen:
        sets.append((0, "+".join(f"{how}:{','.join(groups)}" for how, groups in chosen.items())))
    return list(dict.fromkeys(name for _, name in sets))


def prepare(options):
    folder, ends = options.folder, time.monotonic() + options.seconds
    left = lambda: ends - time.monotonic()
    # The default first: its kernels are most of each other's.
    with ThreadPoolExecutor(2) as pool:
        for job, took in pool.map(compiled, [(folder, DEFAULT, SIZE), (folder, DEFAULT, LARGE)]):
            print(*job[1:], took, flush=True)
    pool = ThreadPoolExecutor(options.jobs)
    todo = [job for job in jobs(options.groups) if job[0] != DEFAULT]
    routes = (folder / ROUTES).read_text()
    print(f"build routes: {routes!r}", flush=True)
    if not options.groups:
        todo += [(f"@route={each}", SIZE) for each in routes.replace(",", " ").replace(";", " ").split()[:8]]
    waiting = [pool.submit(compiled, (folder, *job)) for job in todo]
    bench = Bench(folder, options.checkpoint)
    default = bench.runner(DEFAULT, SIZE)
    large = bench.runner(DEFAULT, LARGE)
    torch_error = bench.error(bench.unet(**bench.cases[SIZE]), SIZE)
    found = {DEFAULT: {"error": bench.error(default[0](**default[1]), SIZE), "ratio": 1.0}}
    print(f"PyTorch's error {torch_error:.2e}, the default's {found[DEFAULT]['error']:.2e}", flush=True)
    with open(folder / FOUND, "a") as file:
        def take(futures, until):
            try:
                for future in as_completed(futures, timeout=max(1, left() - until)):
                    (_, trial, size), took = future.result()
                    if "problem" not in took:
                        look(trial, size, took)
                    print(f"{options.seconds - left():4.0f} s {trial} {size} {took}", flush=True)
                    file.write(json.dumps({"trial": trial, "size": size, **took}) + "\n")
                    file.flush()
            except TimeoutError:
                print("no time for the rest", flush=True)

        def look(trial, size, took):
            try:
                run, case = bench.runner(trial, size)
                took["error"] = bench.error(run(**case), size)
                # Something else may use the GPU: the least time of each says most.
                times = bench.times({DEFAULT: default if size == SIZE else large, trial: (run, case)}, 4, 8)
                took["ratio"] = min(times[trial]) / min(times[DEFAULT])
                if size == SIZE:
                    found[trial] = took
            except Exception as error:
                took["problem"] = str(error)

        number = len(todo) if options.groups else todo.index((FORMS[4], SIZE))
        take(waiting[:number], 0.3 * options.seconds)
        sets = greedy(found, torch_error)
        sets += [f"{each}+kv+shifts" for each in sets[-2:]]
        (folder / SETS).write_text(json.dumps(sets))
        print("sets:", json.dumps(sets, indent=1), flush=True)
        # Those still waiting are behind the sets.
        rest = [job for job, future in zip(todo[number:], waiting[number:]) if future.cancel()]
        running = [future for future in waiting[number:] if not future.cancelled()]
        more = [pool.submit(compiled, (folder, *job)) for job in
                [*((each, SIZE) for each in sets), *rest, *((each, LARGE) for each in sets)]]
        take(running + more, 5)
    os._exit(0)


def torch_compiled(options):
    """Compiles PyTorch's UNet, which keeps the kernels on disk; in its own process."""
    bench = Bench(options.folder, options.checkpoint, references=False)
    for size in (SIZE, LARGE):
        began = time.monotonic()
        run = inductor(bench)
        for _ in range(3):
            latent = run(**bench.cases[size])
        error = bench.error(latent, size)
        (options.folder / f"inductor-{size}").touch()
        print(f"torch.compile {size}: {time.monotonic() - began:.0f} s, error {error:.2e}", flush=True)


def inductor(bench):
    compiled_unet = bench.torch.compile(bench.last(), mode="reduce-overhead", dynamic=False)

    def run(**case):
        bench.torch.compiler.cudagraph_mark_step_begin()
        return compiled_unet(**case)

    return run


def measured(options):
    began = time.monotonic()
    folder, left = options.folder, lambda: options.seconds - (time.monotonic() - began)
    bench = Bench(folder, options.checkpoint, references=False)
    torch = bench.torch
    print(f"{torch.cuda.get_device_name()}, TensorRT-RTX {bench.engine.VERSION}, PyTorch {torch.__version__}, "
          f"batch {BATCH}, {TOKENS} tokens\n")
    print("| at | size | what | ms | default | ratio | error |\n|--|--:|--|--:|--:|--:|--:|", flush=True)
    sets = json.loads((folder / SETS).read_text()) if (folder / SETS).exists() else []
    defaults = {}

    def row(name, size, runner):
        try:
            if size not in defaults:
                defaults[size] = bench.runner(DEFAULT, size)
            run, case = runner()
            error = bench.error(run(**case), size)
            times = bench.times({DEFAULT: defaults[size], name: (run, case)}, count=10 if size == SIZE else 5)
            median = {key: sorted(of)[len(of) // 2] for key, of in times.items()}
            # What one turn differs from another.
            each = [len(times[name]) // 5 * n for n in range(6)]
            turns = [sorted(times[name][a:b])[(b - a) // 2] / sorted(times[DEFAULT][a:b])[(b - a) // 2]
                     for a, b in zip(each, each[1:])]
            ratio = f"{median[name] / median[DEFAULT]:.4f} ({min(turns):.4f}–{max(turns):.4f})"
            print(f"| {options.seconds - left():.0f} s | {size} | {name} | {median[name]:.3f} | "
                  f"{median[DEFAULT]:.3f} | {ratio} | {error:.2e} |", flush=True)
        except Exception as error:
            print(f"| | {size} | {name} | {str(error)[:200]} |", flush=True)

    def trials(names, size):
        for name in names:
            if left() > 8 and (folder / f"{file_of(name, size)}.plan.cache").exists():
                row(name, size, lambda: bench.runner(name, size))

    def graph(size):
        case = bench.cases[size]
        return bench.measure.Captured(bench.last(), case), case

    def compiled_unet(size):
        run = inductor(bench)
        for _ in range(3):
            run(**bench.cases[size])
        return run, bench.cases[size]

    row("PyTorch, channels last, CUDA graph", SIZE, lambda: graph(SIZE))
    trials([DEFAULT, *sets, "kv+shifts", "kv", "shifts", "silu", *WHOLE[:3], *OPTIONS[:6]], SIZE)
    if left() > 60 and (folder / f"inductor-{SIZE}").exists():
        row("torch.compile, reduce-overhead", SIZE, lambda: compiled_unet(SIZE))
    routes = sorted(path.name.split(".route.")[1].split("-")[0] for path in folder.glob("*route*.plan"))
    trials([f"@route={each}" for each in routes], SIZE)
    trials(SINGLES[:len(rewrite.GROUPS)], SIZE)
    row("PyTorch, channels last, CUDA graph", LARGE, lambda: graph(LARGE))
    trials([*sets, *AT_LARGE[1:]], LARGE)
    if left() > 45 and (folder / f"inductor-{LARGE}").exists():
        row("torch.compile, reduce-overhead", LARGE, lambda: compiled_unet(LARGE))
    trials([*SINGLES[len(rewrite.GROUPS):], *FORMS[4:], *WHOLE[3:], *OPTIONS[6:]], SIZE)
    os._exit(0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("what", choices=["prepare", "build", "compile", "measure"])
    add("folder", type=Path, metavar="FOLDER")
    add("checkpoint", type=Path, metavar="CHECKPOINT")
    add("--jobs", type=int, default=4, help="engines built at once")
    add("--seconds", type=float, default=700, help="at most")
    add("--groups", action="store_true", help="prepare no other trials than of groups of convolutions")
    add("--trial", help="what `build` builds")
    add("--size", type=int, help="and at which size")
    options = parser.parse_args()
    {"prepare": prepare, "build": built, "compile": torch_compiled, "measure": measured}[options.what](options)


if __name__ == "__main__":
    main()
