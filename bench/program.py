"""Shows what engines will compute, without a GPU: `program.py PLAN…` counts the operators of each plan.

Plans contain the compiled program as text, one line per operator; this is undocumented and may change. Graphs with
the same program need not all be timed on a GPU. Build for a single compute capability (`gpu.py --build-only
--compute-capability 8.9`), or every program is in the plan several times.
"""
import re
import sys
from collections import Counter
from pathlib import Path

# Operators that run on the GPU; most other lines compute shapes.
KINDS = "function|fully_connected|runtime_fusion|corrltn|deconvolution|resize|silu|pool|softmax"
LINE = re.compile(rf"\n +({KINDS})=\{{ name=(\S+)")


def program(plan):
    """Counts each operator. Generated kernels have names that say what they do."""
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
