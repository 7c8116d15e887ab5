"""The web UI's extension on an NVIDIA GPU: its own classes, with stand-ins for A1111's `modules` only.

FOLDER has a folder for each golden checkpoint (`sd1`, `sdxl`, …) with `weights.safetensors` and
`default.onnx` in it, as `goldens` and the example `forms` of the crate `unet` write them. A folder of
another name, such as a full-size `sd15`, is only timed. Engines are built there, and kept. Needs torch
with CUDA, onnx, safetensors and tensorrt-rtx-cu12-bindings. Exits with 1 if anything is not as it should.
"""
import argparse
import gc
import sys
import tempfile
import traceback
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch

import webui_checks
import webui_engines
from stand_in import WebUI

EXTENSION = Path(__file__).parent.parent / "webui"
FIXTURES = Path(__file__).parent.parent / "tests/fixtures"


class Report:
    """Prints each check as it is made, and counts those that failed."""

    def __init__(self):
        self.failures = 0

    def check(self, what, holds, detail=""):
        self.failures += not holds
        print(f"{'ok  ' if holds else 'FAIL'} {what}{detail and ': '}{detail}", flush=True)

    def error(self, what, error, bound=2e-2):
        self.check(what, error <= bound, f"error {error:.1e}, at most {bound:.0e}")

    def tell(self, what, detail):
        print(f"     {what}: {detail}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("names", nargs="*", metavar="NAME", help="of the folders; by default all")
    parser.add_argument("--kinds", default="baked,shared", help="of engines")
    parser.add_argument("--compute-capability", action="append", default=[], help="by default the library chooses")
    parser.add_argument("--jobs", type=int, default=4, help="engines built at once")
    parser.add_argument("--build-only", action="store_true")
    options = parser.parse_args()
    folders = [options.folder / name for name in options.names]
    folders = folders or sorted(path.parent for path in options.folder.glob("*/default.onnx"))
    if not options.build_only and not torch.cuda.is_available():
        raise SystemExit("torch sees no GPU here")
    sys.path.insert(0, str(EXTENSION))
    # The reference is to be of full precision; cuDNN's default is less.
    torch.backends.cudnn.allow_tf32 = False
    report = Report()
    subjects = [subject(folder, kind) for folder in folders for kind in options.kinds.split(",")]
    built = build_all(report, subjects, options)
    if not options.build_only:
        webui = WebUI()
        with torch.no_grad(), tempfile.TemporaryDirectory() as data:
            for number, each in enumerate(built):
                check(report, webui, each, Path(data, str(number)))
                gc.collect()
                torch.cuda.empty_cache()
    raise SystemExit(report.failures > 0)


def subject(folder, kind):
    golden = FIXTURES / f"{folder.name}.json"
    return webui_engines.Subject(folder, golden if golden.exists() else None, kind)


def build_all(report, subjects, options):
    """Those whose engines are there in the end."""
    # Each in a process of its own, which gives its memory back, and never with this one's CUDA.
    with ProcessPoolExecutor(options.jobs, get_context("spawn"), max_tasks_per_child=1) as pool:
        jobs = [pool.submit(each.build, options.compute_capability) for each in subjects]
        built = []
        for each, job in zip(subjects, jobs):
            try:
                report.tell(f"{each} built", job.result())
                built.append(each)
            except Exception as error:
                report.check(f"{each} built", False, str(error))
    return built


def check(report, webui, subject, data):
    print(f"\n{subject}", flush=True)
    try:
        webui_checks.all_of(report, webui, subject, data)
    except Exception as error:
        traceback.print_exc()
        report.check(str(subject), False, f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
