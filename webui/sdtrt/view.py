"""Formats the daemon's replies and index as Markdown for the tab. Pure."""
from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .index import Engine, Profile
from .overview import key, short
from .plain import markdown, visible
from .unusable import Size

GB = 1e9


def status(daemon: dict[str, Any]) -> str:
    """Formats the daemon's `status`."""
    rows: list[tuple[str, str]] = [("TensorRT", daemon["runtime_problem"] or _runtime(daemon["runtime"]))]
    gpus = ", ".join(f"{gpu['name']} ({gpu['compute_capability']})" for gpu in daemon["gpus"])
    rows.append(("GPUs", gpus or "none"))
    if daemon.get("gpu_problem"):
        rows.append(("GPUs", daemon["gpu_problem"]))
    counts = ", ".join(f"{count} {state}" for state, count in daemon["counts"].items())
    rows.append(("Checkpoints", counts or "none"))
    hashing = daemon.get("hashing")
    if hashing and hashing["files"]:
        rows.append(("To read", f"{hashing['files']} files, {hashing['bytes'] / GB:.0f} GB"))
    for job in daemon["building"]:
        what = f"{short(job['weights_id'])} {job['preset']}"
        doing = {"build": "Building", "validate": "Validating", "materialize": "Materializing"}[job["task"]]
        rows.append((doing, f"{what}: {job['phase']} {job['percent']} %"))
    waits_for = "paused" if daemon["paused"] else daemon["gate"]
    if waits_for and not daemon["building"]:
        rows.append(("Building", waits_for))
    for number, queued in enumerate(daemon["queue"], 1):
        what = f"{short(queued['weights_id'])} {queued['preset']}"
        rows.append((f"Queue {number}", f"{what}: {queued['why']}; {queued['reason']}"))
    return _table(("", f"sdtrtd {daemon['daemon']['version']}"), rows)


def message(text: object) -> str:
    """What a person is told."""
    return markdown(text)


def requested(shown: dict[str, Any]) -> str:
    """What becomes of a request to build a checkpoint's engines, or to try again, by its entry in the daemon's list."""
    reason = f": {shown['reason']}" if shown["reason"] else ""
    coming = shown["coming"]
    if coming:
        first = coming[0]
        what = ", ".join(first["presets"]) or "{width} × {height}, batch {batch}".format(**first["fixed"])
        said = {"building": f"{what} is being built", "queued": f"{what} is built next"}
        why = f": {first['reason']}" if first["reason"] else ""
        more = f" {len(coming) - 1} more are to come." if coming[1:] else ""
        return markdown(said.get(first["state"], f"{what} is {first['state']}") + why + ".") + more
    if shown["state"] == "ready":
        count = len(shown["engines"])
        return markdown(f"Nothing to build: it has all of its {count} engines{reason}. Remove one to build it again.")
    if shown["state"] in ("rejected", "settling", "identifying"):
        return markdown(f"Its file is read again; it is {shown['state']}{reason}.")
    return markdown(f"It is {shown['state']}{reason}.")


def _runtime(runtime: dict[str, str] | None) -> str:
    return f"{runtime['flavour']} {runtime['version']}" if runtime else "none yet"


def checkpoint(shown: dict[str, Any], indexed: Iterable[Engine], limits: Mapping[str, Size]) -> str:
    """Formats an entry of the daemon's `list` with its engines in the index, and the sizes from which on they fail
    here."""
    reason = f": {markdown(shown['reason'])}" if shown["reason"] else ""
    lines = [f"**{markdown(name(shown))}** is {markdown(shown['state'])}{reason}"]
    by_id = {engine.id: engine for engine in indexed}
    rows: list[tuple[str | list[str], ...]] = []
    for engine in shown["engines"]:
        profiles = by_id[engine["key"]].profiles if engine["key"] in by_id else ()
        sizes = [profile(each) for each in profiles] or [", ".join(engine["presets"])]
        notes = [engine["state"]]
        notes += [f"outdated: {engine['outdated']}"] if engine["outdated"] else []
        notes += ["pinned"] if engine["pinned"] else []
        notes += [beside(engine["timings"])] if engine.get("timings") else []
        size = limits.get(engine["key"])
        notes += [f"not used from {size.width} × {size.height} on: NaN or infinity"] if size else []
        rows.append((engine["key"][:12], sizes, f"{engine['bytes'] / GB:.2f} GB", "; ".join(notes)))
    if rows:
        lines.append(_table(("Engine", "Sizes", "", ""), rows))
    else:
        lines.append("It has no engine yet.")
    return "\n\n".join(lines)


def beside(timings: Sequence[Mapping[str, Any]]) -> str:
    """Says how many times as fast as PyTorch an engine is, at each size at which that was measured last."""
    last = {(timing["width"], timing["height"]): timing for timing in timings}
    gains = (
        f"{timing['torch_milliseconds'] / timing['engine_milliseconds']:.1f} × PyTorch at {width} × {height}"
        for (width, height), timing in sorted(last.items())
    )
    return ", ".join(gains)


def profile(profile: Profile) -> str:
    """Formats an optimization profile in the user's terms."""
    images = max(1, profile.sizes["batch"].most // 2)
    tokens = profile.sizes["tokens"].most // 77 * 75
    width, height = profile.sizes["width"], profile.sizes["height"]
    sizes = str(width)
    if width != height:
        sizes += f" × {height}"
    return f"{profile.preset}: {sizes} pixels, up to {images} at once, {tokens} tokens"


def name(shown: dict[str, Any]) -> str:
    """Returns an entry's name in the list."""
    where = visible(os.path.basename(shown["locations"][0])) if shown["locations"] else "no file"
    return f"{where} ({key(shown)[:12]})" if shown["weights_id"] else where


def _table(head: Sequence[str], rows: Iterable[Sequence[str | list[str]]]) -> str:
    """Of texts, which are shown as they are; a list's texts are below each other."""
    def line(cells: Sequence[str | list[str]]) -> str:
        return "| " + " | ".join(map(_cell, cells)) + " |"

    return "\n".join([line(head), "|" + " --- |" * len(head), *map(line, rows)])


def _cell(text: str | list[str]) -> str:
    texts = text if isinstance(text, list) else [text]
    return "<br>".join(map(markdown, texts))
