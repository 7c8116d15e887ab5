"""What engines will do, without a GPU: `program.py PLAN…` counts the operators of each plan.

Plans hold the compiled program as text, one line for each operator, which is documented nowhere and may
go. Graphs of one program need not all be timed on a GPU. Build for one compute capability alone
(`gpu.py --build-only --compute-capability 8.9`), or every program is there several times over.
"""
import re
import sys
from collections import Counter
from pathlib import Path

# What runs on the GPU; most other lines compute shapes.
KINDS = "function|fully_connected|runtime_fusion|corrltn|deconvolution|resize|silu|pool|softmax"
LINE = re.compile(rf"\n +({KINDS})=\{{ name=(\S+)")


def program(plan):
    """How often each operator is there. Generated kernels have names that say what they do."""
    text = plan.read_bytes().decode("latin-1")
    named = ("function", "runtime_fusion")
    return Counter(name if kind in named else kind for kind, name in LINE.findall(text))


def main():
    plans = [Path(argument) for argument in sys.argv[1:]]
    if not plans:
        raise SystemExit(__doc__)
    counts = [program(plan) for plan in plans]
    for number, plan in enumerate(plans):
        print(f"{number + 1}: {plan} ({sum(counts[number].values())} operators)")
    for name in sorted(set().union(*counts), key=lambda name: -max(c[name] for c in counts)):
        print("".join(f"{c[name]:6}" for c in counts), f" {name}")


if __name__ == "__main__":
    main()
