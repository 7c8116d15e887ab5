"""Jobs that one web UI of Forge's family makes by PyTorch and by engines, one after the other, on a GPU: a checkpoint
is loaded once for both, and half as many web UIs run as where another one makes PyTorch's."""
import time

import forge_jobs
from counts import Counts
from forge_jobs import NEVER, is_as_meant
from pictures import have_one_size, is_same, make
from times import is_sdxl

ENGINES = "automatic"


def random(whole, choose):
    """Makes random jobs. `whole` is forge's check, and `choose` changes a server's settings."""
    folders, kinds = whole.files(["random"])
    jobs = lambda server: forge_jobs.at_random(whole.options.kind, whole.titles(server)[0], kinds, True,
                                               whole.options.random)
    check(whole, "random", jobs, choose, **folders)


def larger(whole, choose):
    """Makes jobs with SDXL at 1024."""
    first = next((file for file in sorted(whole.checkpoints.glob("*.safetensors")) if is_sdxl(file)), None)
    if not whole.options.gpu or first is None:
        print("no GPU or no SDXL: it is NOT checked")
        return
    folders, kinds = whole.files(["random"], first)
    jobs = lambda server: forge_jobs.larger(whole.options.kind, whole.titles(server)[1][0], kinds)
    check(whole, "larger", jobs, choose, **folders)


def check(whole, group, jobs, choose, **folders):
    """Compares the pictures of jobs. `whole` is forge's check, `jobs` makes the jobs of a server, and `choose` changes
    its settings; the folders are those that the server reads."""
    options = whole.options
    stack, made = whole.started({group: whole.ours}, **folders)
    counts, begin, failed = Counts(), time.monotonic(), []
    with stack:
        server = made[group]
        stack.callback(lambda: [print(f"{group}: {line}", flush=True) for line in told(counts, failed, begin)])
        for job in part(jobs(server), options.part):
            if options.job and not any(name in job.name for name in options.job):
                continue
            if time.monotonic() - begin > options.seconds:
                print(f"{group}: the time was up before {job.name}, which is NOT made, nor are those after it")
                break
            compare(whole, server, job, choose, counts, failed)


def part(jobs, which):
    """Returns every second job if `which` is 1/2, from the second on if it is 2/2, and so on."""
    number, _, count = which.partition("/")
    return jobs[int(number) - 1 :: int(count)]


def compare(whole, server, job, choose, counts, failed):
    """Makes a job's pictures by PyTorch and by engines, and says how alike they are."""
    took, found = [], []
    if whole.options.kind == "neo" and job.path == "img2img":
        # Its first picture is another than later ones, by PyTorch alone too.
        choose(server, {**job.settings, "sdtrt_engine": NEVER})
        make(server, job.path, job.body)
    for choice in (NEVER, ENGINES):
        start = time.monotonic()
        choose(server, {**job.settings, "sdtrt_engine": choice})
        found.append(make(server, job.path, job.body))
        took.append(time.monotonic() - start)
    plain, ours = found
    if not plain.files and not ours.files:
        failed.append(job.name)
        whole.say(job.name, True, f"fails by PyTorch too: {'; '.join(plain.lines)[:200]}")
        return
    fine = len(plain.files) == len(ours.files) and have_one_size(plain, ours)
    fine, told = is_same(plain, ours, exactly=False) if fine else (False, "; ".join(["other pictures", *ours.lines]))
    as_meant, by = is_as_meant(job, ours)
    counts.note(job.name, plain, ours)
    seconds = " → ".join(f"{each:.1f}" for each in took)
    whole.say(job.name, fine and as_meant, f"{told:8} {seconds:12} s  {by}")


def told(counts, failed, begin):
    """Returns what all jobs come to, in words."""
    yield from counts.lines()
    if failed:
        yield f"{len(failed)} fail by PyTorch too: {', '.join(failed)}"
    yield f"{time.monotonic() - begin:.0f} s"
