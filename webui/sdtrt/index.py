"""The daemon's index: the engines that are there, by checkpoint. Its schema is docs/index.md."""
from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

VERSION = 1


class Unreadable(Exception):
    """The index is not there, or not one that this extension understands."""


@dataclass(frozen=True)
class Range:
    least: int
    usual: int
    most: int

    def __contains__(self, value):
        return self.least <= value <= self.most

    def __str__(self):
        return str(self.least) if self.least == self.most else f"{self.least}–{self.most}"


@dataclass(frozen=True)
class Profile:
    """An optimization profile: pixels of the image, and batch and tokens as the UNet sees them."""

    preset: str
    width: Range
    height: Range
    batch: Range
    tokens: Range


@dataclass(frozen=True)
class Engine:
    id: str
    kind: str
    plan: Path
    tensorrt: str
    # Empty for those that TensorRT-RTX chose by itself.
    compute_capabilities: tuple[str, ...]
    precision: str
    proven: bool
    relative_error: float | None
    # The constants of the graph, which a shared engine needs beside the checkpoint's weights.
    constants: Path | None
    profiles: tuple[Profile, ...]

    @property
    def is_shared(self):
        return self.kind == "shared"


@dataclass(frozen=True)
class Checkpoint:
    id: str
    unet: str
    architecture: str
    locations: tuple[str, ...]
    engines: tuple[Engine, ...]


@dataclass(frozen=True)
class Index:
    socket: str | None
    checkpoints: tuple[Checkpoint, ...]


EMPTY = Index(None, ())


def parse(text):
    """The index that a file's text is. Keys that are not known are left alone."""
    try:
        tree = json.loads(text)
        if tree["version"] != VERSION:
            raise Unreadable(
                f"the daemon's index has version {tree['version']}, this extension reads {VERSION}: "
                "the older of the two needs an update"
            )
        return Index(tree["socket"], tuple(map(_checkpoint, tree["checkpoints"])))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"the daemon's index is damaged: {error!r}") from error


def _checkpoint(tree):
    return Checkpoint(
        id=tree["id"],
        unet=tree["unet"],
        architecture=tree["architecture"],
        locations=tuple(tree["locations"]),
        engines=tuple(map(_engine, tree["engines"])),
    )


def _engine(tree):
    constants = tree.get("constants")
    return Engine(
        id=tree["id"],
        kind=tree["kind"],
        plan=Path(tree["plan"]),
        tensorrt=tree["tensorrt"],
        compute_capabilities=tuple(tree["compute_capabilities"]),
        precision=tree["precision"],
        proven=tree["state"] == "ready",
        relative_error=tree["relative_error"],
        constants=Path(constants) if constants else None,
        profiles=tuple(map(_profile, tree["profiles"])),
    )


def _profile(tree):
    ranges = {name: Range(*tree[name]) for name in ("width", "height", "batch", "tokens")}
    return Profile(preset=tree["preset"], **ranges)


class IndexFile:
    """The index on disk, read again whenever it is another file than before."""

    def __init__(self, path):
        self.path = Path(path)
        self.index = EMPTY
        # Why there is none, for people.
        self.problem = None
        self._stamp = None

    def refresh(self):
        """Reads it again if it has changed. One that can't be read leaves the last one in force."""
        stamp = self._look()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self.index, self.problem = parse(self.path.read_text("utf-8")), None
        except FileNotFoundError:
            self.problem = f"{self.path} is not there: is sdtrtd running?"
        except (OSError, UnicodeDecodeError, Unreadable) as error:
            self.problem = f"{self.path}: {error}"

    def _look(self):
        try:
            stat = os.stat(self.path)
        except OSError as error:
            return error.errno
        return stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_size
