"""Runs the web UI's extension on an NVIDIA GPU: its own classes, with stand-ins only for A1111's `modules`.

DATA is one of sdtrtd's data folders, with `index.json` and the engines and manifests that it names; CHECKPOINT is
a .safetensors with one of its signatures. Needs torch with CUDA, safetensors and the bindings of TensorRT-RTX.
Prints a table, and exits with 1 if any check fails.
"""
import argparse
import sys
import traceback
from pathlib import Path

import torch

import webui_checks
from stand_in import WebUI

EXTENSION = Path(__file__).parent.parent / "webui"


class Table:
    """Prints each row when it is complete, and counts failed checks."""

    def __init__(self):
        self.failures = 0

    def row(self, what, holds, **found):
        self.failures += not holds
        cell = lambda value: value if isinstance(value, str) else f"{value:.1e}" if value < 0.1 else f"{value:.2f}"
        cells = "  ".join(f"{name} {cell(value)}" for name, value in found.items())
        print(f"{'ok  ' if holds else 'FAIL'} {what:48} {cells}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("torch sees no GPU here")
    sys.path.insert(0, str(EXTENSION))
    # The reference must have full precision; cuDNN's default has less.
    torch.backends.cudnn.allow_tf32 = False
    table = Table()
    with torch.no_grad():
        try:
            webui_checks.all_of(webui_checks.Bench(WebUI(), table, options.data, options.checkpoint))
        except Exception as error:
            traceback.print_exc()
            table.row(f"{type(error).__name__}: {error}", False)
    raise SystemExit(table.failures > 0)


if __name__ == "__main__":
    main()
