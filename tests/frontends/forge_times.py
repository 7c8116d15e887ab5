"""What jobs take in a web UI of Forge's family, by PyTorch and by engines, in turn in one server."""
import fcntl
import subprocess
import time
from contextlib import contextmanager

from forge_jobs import NEVER, small
from pictures import Made, is_same

# Steps of the jobs that are timed: what more of them take longer tells how many there are in a second.
STEPS, MORE = 20, 40
TIMES = 2
CARD = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader", "--id=0"]
WAYS = {"PyTorch": NEVER, "engine": "automatic"}
HIRES = {"enable_hr": True, "hr_scale": 2, "hr_upscaler": "None", "denoising_strength": 0.6,
         "hr_second_pass_steps": STEPS // 2}


@contextmanager
def alone(file):
    """Waits until no other check measures times; each has the file open."""
    if file is None:
        yield
        return
    with open(file, "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def jobs(titles):
    """Yields a name, the body, and whether steps are counted. `titles` are those of SD 1.5 and perhaps of SDXL."""
    chosen = lambda title: {"override_settings": {"sd_model_checkpoint": title},
                            "override_settings_restore_afterwards": False}
    square = lambda title, size: small(width=size, height=size, steps=STEPS, **chosen(title))
    base, *others = titles
    yield "SD 1.5, 512×512", square(base, 512), True
    yield "SD 1.5, 1024×1024", square(base, 1024), True
    yield "SD 1.5, 512×512, hires to 1024×1024", square(base, 512) | HIRES, False
    for title in others:
        yield "SDXL, 1024×1024", square(title, 1024), True
    yield "SD 1.5, 768×768", square(base, 768), True


def measure(server, choose, titles, seconds):
    """Yields lines of a table in Markdown. `choose` changes a setting; no job begins after this many seconds."""
    yield f"| on {card()} | steps a second, PyTorch → engine | seconds for a picture | PSNR | |"
    yield "| --- | --- | --- | --- | --- |"
    end = time.monotonic() + seconds
    for job, body, is_counted in jobs(titles):
        if time.monotonic() > end:
            yield f"| {job} | not measured: the time was up | | | |"
            continue
        taken, speeds, made = {}, {}, {}
        for way, choice in WAYS.items():
            choose(server, {"sdtrt_engine": choice})
            first, _ = timed(server, body)
            least, made[way] = min((timed(server, body) for _ in range(TIMES)), key=lambda each: each[0])
            taken[way] = f"{least:.2f} (the first: {first:.1f})"
            if is_counted:
                most = min(timed(server, body | {"steps": MORE})[0] for _ in range(TIMES))
                speeds[way] = f"{(MORE - STEPS) / max(most - least, 1e-9):.1f}"
        _, alike = is_same(made["PyTorch"], made["engine"], exactly=False)
        served = "" if made["engine"].is_served else f"NOT SERVED: {'; '.join(made['engine'].lines)}"
        yield f"| {job} | {' → '.join(speeds.values()) or '–'} | {' → '.join(taken.values())} | {alike} | {served} |"


def card():
    """Returns the GPU's name and its driver's version."""
    try:
        return subprocess.run(CARD, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as problem:
        return f"a GPU ({problem})"


def timed(server, body):
    """Returns the seconds of a job, and what was made."""
    before = len(server.lines())
    begin = time.monotonic()
    files = server.images("txt2img", body)
    return time.monotonic() - begin, Made(files, server.lines()[before:])
