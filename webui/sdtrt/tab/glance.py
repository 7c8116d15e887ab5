"""What the page shows of the daemon's `status`: what it does, and what it waits for. Pure."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..overview import short
from ..plain import visible

# The share of the time that each phase of a job takes, in percent, as `sdtrtctl` has them.
BUILD = {"graph": 1.0, "parse": 12.0, "build": 78.0, "write": 7.0, "publish": 2.0}
VALIDATE = {"load": 50.0, "prove": 11.0, "warm": 39.0}
# With less than this done, nobody knows how much time is left; more than a day is no forecast.
TOO_SOON, DAY_S = 0.05, 86_400
# More of the queue than anyone reads.
SHOWN = 20

DOING = {"build": "building", "validate": "validating", "materialize": "writing a copy with weights of"}


def glance(status: Mapping[str, Any], entries: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Returns what the page shows of `status`; `entries` is the daemon's list, by key."""
    runtime = status["runtime"]
    hashing = status.get("hashing") or {"files": 0}
    folders = [f"{folder['path']}: {folder['problem']}" for folder in status["models_dirs"] if folder["problem"]]
    problems = [status["runtime_problem"], status.get("gpu_problem"), *status.get("troubles", ()), *folders]
    paused = status["paused"]
    return {
        "version": visible(status["daemon"]["version"]),
        "runtime": visible(f"{runtime['flavour']} {runtime['version']}") if runtime else "none yet",
        "gpus": [visible(f"{gpu['name']} ({gpu['compute_capability']})") for gpu in status["gpus"]],
        "problems": [visible(problem) for problem in problems if problem],
        "paused": paused,
        "pausedUntil": status.get("paused_until") if paused else None,
        "gate": visible(status["gate"] or ""),
        "counts": status["counts"],
        "reading": f"{hashing['files']} files to read, {hashing['bytes'] / 1e9:.0f} GB" if hashing["files"] else "",
        "jobs": [job(each, entries) for each in status["building"]],
        "queue": [queued(each) for each in status["queue"][:SHOWN]],
        "queued": len(status["queue"]),
    }


def job(building: Mapping[str, Any], entries: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Returns a running job: for whom, how much of it is done, from 0 to 1, and the seconds that are left."""
    key = building["weights_id"]
    done = progress(building)
    left = building["elapsed_s"] * (1 - done) / done if done and done >= TOO_SOON else None
    return {
        "key": key,
        "name": visible(short(key)),
        # One engine is built for all checkpoints of a kind.
        "architecture": visible(entries.get(key, {}).get("architecture") or ""),
        "label": visible(building["preset"]),
        "task": DOING.get(building["task"], building["task"]),
        "phase": visible(building["phase"]),
        "done": done,
        "left": round(left) if left is not None and left < DAY_S else None,
    }


def progress(building: Mapping[str, Any]) -> float | None:
    """Returns the part of a job that is done, from 0 to 1; None if a newer daemon has other phases."""
    shares = VALIDATE if building["task"] == "validate" else BUILD
    phase: str = building["phase"]
    if phase not in shares:
        return None
    names = list(shares)
    before = sum(shares[name] for name in names[: names.index(phase)])
    of_phase: float = min(building["percent"], 100) / 100
    return (before + shares[phase] * of_phase) / 100


def queued(shown: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what the page shows of a job that waits."""
    texts = {name: visible(shown[name] or "") for name in ("preset", "why", "reason")}
    return {"key": shown["weights_id"], "name": visible(short(shown["weights_id"])), **texts}
