"""Prints results as a Markdown table."""
import json

BASELINE = "torch.onnx"
FP16 = "PyTorch"
COLUMNS = ["UNet", "pixels", "graph", "ms", "× torch.onnx", "error", "× PyTorch fp16's", "build", "plan"]


def render(path):
    """Formats a file of results: for each graph at each size the latest, with the same run's figures of torch.onnx
    and PyTorch."""
    records = [json.loads(line) for line in path.read_text().splitlines()]
    by_run = {(r["run"], r["unet"], r["pixels"], r["graph"]): r for r in records}
    last = {(r["unet"], r["pixels"], r["graph"]): r for r in records}
    machines = dict.fromkeys(r["machine"] for r in last.values())
    lines = [COLUMNS, [rule(column) for column in COLUMNS]]
    for record in sorted(last.values(), key=lambda r: (r["unet"], r["pixels"], r.get("ms", 1e9))):
        beside = lambda graph: by_run.get((record["run"], record["unet"], record["pixels"], graph), {})
        lines.append(row(record, beside))
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([*machines, "", table])


def rule(column):
    return "---" if column in ("UNet", "graph") else "--:"


def row(record, beside):
    start = [record["unet"], str(record["pixels"]), record["graph"]]
    if "failed" in record:
        failed = record["failed"].replace("|", "/").replace("\n", " ")
        return [*start, "failed", "", failed[:80], "", "", ""]
    return [
        *start,
        f"{record['ms']:.2f}",
        ratio(record, beside(BASELINE), "ms"),
        f"{record['error']:.1e}",
        ratio(record, beside(FP16), "error"),
        f"{record['build']:.0f} s" if "build" in record else "",
        f"{record['bytes'] / 1e9:.2f} GB" if "bytes" in record else "",
    ]


def ratio(record, other, what):
    return f"{record[what] / other[what]:.2f}" if other.get(what) else ""
