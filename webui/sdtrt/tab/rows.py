"""What the page shows of the daemon's list: a row for each checkpoint, and each engine once. Pure."""
from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..index import Index, Profile
from ..overview import key
from ..plain import visible

# What an engine may be removed, pinned and so on by.
DIGITS = 12
# What the daemon tells those who have a terminal. Here the row has the button.
TO_TYPE = re.compile(r"`sdtrtctl build [^`]*`")


def row(entry: Mapping[str, Any], folders: Sequence[str] = ()) -> dict[str, Any]:
    """Returns the row of an entry of the daemon's `list`; `folders` are the models folders."""
    places = [visible(place) for place in entry["locations"]]
    file = os.path.basename(places[0]) if places else "no file"
    engines = entry["engines"]
    return {
        "key": key(entry),
        "id": (entry["weights_id"] or "")[:DIGITS],
        "title": visible(entry.get("title") or os.path.splitext(file)[0]),
        "file": file,
        "places": places,
        # As people know them.
        "folders": [visible(below(place, folders)) for place in entry["locations"]],
        "architecture": visible(entry["architecture"] or ""),
        "state": entry["state"],
        "reason": visible(entry["reason"] or ""),
        "remarks": [visible(remark) for remark in entry.get("remarks", ())],
        "picture": bool(entry.get("picture")),
        "engines": [engine["key"] for engine in engines],
        "beyond": {engine["key"]: beyond for engine in engines if (beyond := _beyond(engine))},
        "coming": [coming(each) for each in entry["coming"]],
    }


def below(path: str, folders: Sequence[str]) -> str:
    """Returns a path as it is seen in the innermost of these folders."""
    around = [folder for folder in folders if path.startswith(os.path.join(folder, ""))]
    return os.path.relpath(path, max(around, key=len)) if around else path


def engine(shown: Mapping[str, Any], profiles: Sequence[Profile] = (), front_end: str = "") -> dict[str, Any]:
    """Returns what the page of a front end shows of an engine, with its optimization profiles in the index if they are
    known."""
    return {
        "key": shown["key"],
        "id": shown["key"][:DIGITS],
        "label": label(shown),
        "sizes": [profile(each) for each in profiles] or [label(shown)],
        "fixed": shown["fixed"] is not None,
        "bytes": shown["bytes"],
        "state": shown["state"],
        "outdated": visible(shown["outdated"] or ""),
        "pinned": shown["pinned"],
        "speeds": list(speeds(shown, front_end)),
    }


def coming(shown: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what the page shows of an engine that is still to come."""
    reason = TO_TYPE.sub("'Build now'", visible(shown["reason"] or ""))
    return {"label": label(shown), "state": shown["state"], "reason": reason}


def label(shown: Mapping[str, Any]) -> str:
    """What an engine serves, in the daemon's own words: a job names it by them."""
    fixed = shown["fixed"]
    return "{width}x{height} batch {batch}".format(**fixed) if fixed else visible(", ".join(shown["presets"]))


def speeds(shown: Mapping[str, Any], front_end: str = "") -> Iterable[dict[str, Any]]:
    """Returns the milliseconds of a call, at each size at which they were measured: the engine's and, where a front end
    has measured both, PyTorch's. The latest of a size counts, but another front end's only where this one has none:
    PyTorch is not as fast in each."""
    found: dict[tuple[int, int, int], dict[str, Any]] = {}
    sized = lambda each: {name: each[name] for name in ("width", "height", "batch")}
    for validation in reversed(shown.get("validations", ())):
        for speed in validation["speeds"]:
            found[_size(speed)] = sized(speed) | {"engine": speed["milliseconds"], "torch": None}
    is_own = lambda timing: timing["front_end"].partition(",")[0] == front_end
    for timing in sorted(shown.get("timings", ()), key=is_own):
        both = {"engine": timing["engine_milliseconds"], "torch": timing["torch_milliseconds"]}
        found[_size(timing)] = sized(timing) | both
    return found.values()


def _size(each: Mapping[str, Any]) -> tuple[int, int, int]:
    return each["width"], each["height"], each["batch"]


def _beyond(shown: Mapping[str, Any]) -> str:
    """Says from which size on an engine is not used with a checkpoint's weights."""
    failed = min(shown.get("unusable", ()), key=lambda each: each["width"] * each["height"], default=None)
    if failed is None:
        return ""
    return f"not used from {failed['width']} × {failed['height']} on: NaN or infinity on {visible(failed['gpu'])}"


def profile(profile: Profile) -> str:
    """Formats an optimization profile in the user's terms."""
    images = max(1, profile.sizes["batch"].most // 2)
    tokens = profile.sizes["tokens"].most // 77 * 75
    width, height = profile.sizes["width"], profile.sizes["height"]
    sizes = str(width) if width == height and not profile.is_fixed else f"{width} × {height}"
    return visible(f"{profile.preset}: {sizes} pixels, up to {images} at once, {tokens} tokens")


def profiles(index: Index) -> dict[str, tuple[Profile, ...]]:
    """Returns the profiles of each engine in the index."""
    signed = index.signatures.values()
    engines = [engine for signature in signed for engine in (*signature.engines, *signature.controlnet)]
    engines += [engine for checkpoint in index.checkpoints for engine in checkpoint.engines]
    return {engine.id: engine.profiles for engine in engines}
