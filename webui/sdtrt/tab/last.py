"""What the console said of the last job: which engines made the picture, and why PyTorch computed what they did not."""
from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

from .. import console
from ..calls import POSITIONS_PER_PIECE, TOKENS_PER_PIECE, Call
from ..choosing import NO_CONTROL
from ..overview import key
from ..plain import visible

# How a line begins that is about one call (Call.__str__).
CALL = re.compile(r"(\d+)×(\d+), batch (\d+), (\d+) tokens: ")
PYTORCH = "PyTorch computes"


class LastJob(logging.Handler):
    """Listens to what we say."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[str] = []
        self._number = 0
        # What holds for all jobs is said once.
        self._standing: str | None = None
        console.log().addHandler(self)

    def begin(self) -> None:
        """A job begins."""
        self._lines = []
        self._number += 1

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        self._lines.append(line)
        if line.endswith(PYTORCH):
            self._standing = line
        elif line.startswith("engine "):
            self._standing = None

    def told(self) -> dict[str, Any] | None:
        """Returns what the page shows of it; None before the first job."""
        if not self._number:
            return None
        standing = [self._standing] if self._standing is not None else []
        shown = [{"text": visible(line), "pytorch": PYTORCH in line} for line in list(self._lines) or standing]
        return {"number": self._number, "lines": shown}

    def calls(self) -> list[Call]:
        """Returns the calls that PyTorch computed, as far as a line names them."""
        return calls_of(self._lines)

    def lacks_control(self) -> bool:
        """Whether a ControlNet was active that no engine takes."""
        return any(NO_CONTROL in line for line in self._lines)


def calls_of(lines: list[str]) -> list[Call]:
    """Returns the calls that these lines say PyTorch computed."""
    found = (CALL.match(line) for line in lines if PYTORCH in line)
    return list(dict.fromkeys(Call(*map(int, match.groups())) for match in found if match))


def image(call: Call, architecture: str) -> dict[str, Any]:
    """Returns a call as the daemon's `check` takes it: in the user's terms."""
    # With the prompt and the negative prompt; instruct-pix2pix adds a third.
    copies = 3 if architecture == "instruct-pix2pix" else 2
    return {
        "width": call.width, "height": call.height, "batch": -(-call.batch // copies),
        "tokens": -(-call.tokens // POSITIONS_PER_PIECE) * TOKENS_PER_PIECE, "hires": None,
    }


def mend(served: Mapping[str, Any], asked: Mapping[str, Any], entry: Mapping[str, Any] | None) -> dict[str, Any]:
    """Returns what can be done for an image that was `asked` of the daemon and that PyTorch computed, by how it is
    `served` and its checkpoint's entry: a text, and perhaps a button's `label` with either a `request` or what a
    `preset` should have."""
    size = f"{served['width']} × {served['height']}"
    problem = visible(served["problem"] or "its engine is not built yet")
    if served["engine"] is not None:
        engine, torch = served["milliseconds"], served["torch_milliseconds"]
        if engine and torch and torch <= engine:
            return {"text": f"{size}: PyTorch is faster than the engine for such a picture, so it computes it."}
        return {"text": f"{size}: an engine serves it now; the next picture uses it, or a line here says why not."}
    is_known = served["preset"] is not None or served["fixed"]
    if entry is not None and (is_known or not entry["engines"]):
        request = {"request": "build", "reference": key(entry), "now": True}
        return {"text": f"{size}: {problem}", "label": "Build it now", "request": request}
    wanted = {name: asked[name] for name in ("width", "height", "batch", "tokens")}
    return {"text": f"{size}: {problem}", "label": f"Let a preset cover {size}…", "preset": wanted}
