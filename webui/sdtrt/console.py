"""Lines for whoever watches the web UI's console."""
from __future__ import annotations

import logging
import sys

LOG = logging.getLogger("sdtrt")


class Console(logging.Handler):
    """Writes to stdout; past the progress bar, if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
            bars = sys.modules.get("tqdm")
            if bars is None:
                sys.stdout.write(f"{line}\n")
            else:
                bars.tqdm.write(line, file=sys.stdout)
        except Exception:
            self.handleError(record)


def log() -> logging.Logger:
    """Returns our log. The web UI shows only warnings, but these lines are for people."""
    if not LOG.handlers:
        console = Console()
        console.setFormatter(logging.Formatter("sdtrt: %(message)s"))
        LOG.addHandler(console)
        LOG.setLevel(logging.INFO)
        LOG.propagate = False
    return LOG
