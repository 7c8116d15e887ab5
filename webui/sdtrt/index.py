"""The daemon's index: the available engines, by signature and by checkpoint. docs/index.md has its schema."""
from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .calls import Call

VERSION = 2
# The end of an id whose file the daemon has not read yet.
PROVISIONAL = "0" * 16
# The bound if the daemon gives none.
DEFAULT_BOUND = 2e-2
# What computes a call for which both were measured: PyTorch where it is faster, or the engine in any case.
FASTEST, ENGINE = "fastest", "engine"


class Unreadable(Exception):
    """The index is missing, or this extension can't read it."""


@dataclass(frozen=True)
class Range:
    least: int
    usual: int
    most: int

    def __contains__(self, value: int) -> bool:
        return self.least <= value <= self.most

    def __str__(self) -> str:
        return str(self.least) if self.least == self.most else f"{self.least}–{self.most}"


@dataclass(frozen=True)
class Profile:
    """An optimization profile: a range for each field of a call."""

    preset: str
    sizes: Mapping[str, Range]

    @property
    def is_fixed(self) -> bool:
        return all(self.sizes[name].least == self.sizes[name].most for name in ("width", "height", "batch"))


@dataclass(frozen=True)
class Speed:
    """The milliseconds of one call on a GPU, for a shape in a profile's terms."""

    gpu: str
    width: int
    height: int
    batch: int
    tokens: int
    milliseconds: float


@dataclass(frozen=True)
class Limit:
    """Pixels of the largest image that an engine computes correctly on a GPU."""

    gpu: str
    pixels: int


@dataclass(frozen=True)
class Engine:
    id: str
    kind: str
    plan: Path
    manifest: Path
    tensorrt: str
    # Empty for the GPU that it was built on.
    compute_capabilities: tuple[str, ...]
    precision: str
    state: str
    relative_error: float | None
    profiles: tuple[Profile, ...]
    # The sizes above which it gives NaN or infinity.
    limits: tuple[Limit, ...]
    speeds: tuple[Speed, ...]
    # Of the weights inside; None if there are none, or a former daemon built it.
    sample: str | None = None

    @property
    def is_shared(self) -> bool:
        """Whether its weights are inputs."""
        return self.kind == "shared"

    @property
    def is_fixed(self) -> bool:
        """Whether it was built for one size and batch, which makes it faster."""
        return all(profile.is_fixed for profile in self.profiles)


@dataclass(frozen=True)
class Signature:
    """A signature, and the engines for all of its UNets."""

    id: str
    architecture: str
    engines: tuple[Engine, ...]
    # Those that take what ControlNets add.
    controlnet: tuple[Engine, ...] = ()


@dataclass(frozen=True)
class Checkpoint:
    id: str
    unet: str
    signature: str
    architecture: str
    locations: tuple[str, ...]
    # The baked ones.
    engines: tuple[Engine, ...]

    @property
    def reference(self) -> str | None:
        """The reference of this checkpoint for `sdtrtctl`."""
        if not self.id.endswith(PROVISIONAL):
            return self.id[:12]
        return shlex.quote(self.locations[0]) if self.locations else None

    def is_called(self, key: str) -> bool:
        """Whether this is the daemon's key of this checkpoint."""
        return self.id == key or key in self.locations


@dataclass(frozen=True)
class Index:
    socket: str | None
    signatures: dict[str, Signature]
    checkpoints: tuple[Checkpoint, ...]
    # The largest relative error of an engine that is used.
    bound: float = DEFAULT_BOUND
    prefer: str = FASTEST

    def shared(self, signature: str) -> tuple[Engine, ...]:
        """Returns the engines for every UNet with this signature."""
        found = self.signatures.get(signature)
        return found.engines if found else ()

    def controlled(self, signature: str) -> tuple[Engine, ...]:
        """Returns the engines for every UNet with this signature that take what ControlNets add."""
        found = self.signatures.get(signature)
        return found.controlnet if found else ()

    def engines(self, checkpoint: Checkpoint) -> tuple[Engine, ...]:
        """Returns all engines that a checkpoint can use."""
        return (*self.shared(checkpoint.signature), *checkpoint.engines)


EMPTY = Index(None, {}, ())


def parse(text: str) -> Index:
    """Parses the index. Unknown keys are ignored."""
    try:
        tree = json.loads(text)
        if tree["version"] != VERSION:
            raise Unreadable(
                f"the daemon's index has version {tree['version']}, this extension reads {VERSION}: "
                "the older of the two needs an update"
            )
        signatures = map(_signature, tree["signatures"])
        return Index(
            tree["socket"],
            {each.id: each for each in signatures},
            tuple(map(_checkpoint, tree["checkpoints"])),
            float(tree.get("bound", DEFAULT_BOUND)),
            ENGINE if tree.get("prefer") == ENGINE else FASTEST,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"the daemon's index is damaged: {error!r}") from error


def beside(index: Index, folder: Path) -> Index:
    """The index with plans and manifests below this folder, where it lies, if the daemon's paths lead nowhere here:
    in a container its data folder may be another."""
    signed = index.signatures.values()
    shared = [engine for signature in signed for engine in (*signature.engines, *signature.controlnet)]
    engines = shared + [engine for checkpoint in index.checkpoints for engine in checkpoint.engines]
    folders = {engine.plan.parent for engine in engines}
    here = folder / "engines"
    if not folders or here in folders or any(each.is_dir() for each in folders) or not here.is_dir():
        return index

    def moved(engine: Engine) -> Engine:
        return replace(engine, plan=here / engine.plan.name, manifest=here / engine.manifest.name)

    signatures = {
        key: replace(
            each, engines=tuple(map(moved, each.engines)), controlnet=tuple(map(moved, each.controlnet))
        )
        for key, each in index.signatures.items()
    }
    checkpoints = tuple(replace(each, engines=tuple(map(moved, each.engines))) for each in index.checkpoints)
    return replace(index, signatures=signatures, checkpoints=checkpoints)


def _signature(tree: dict[str, Any]) -> Signature:
    engines, controlnet = (tuple(map(_engine, each)) for each in (tree["engines"], tree.get("controlnet", ())))
    return Signature(tree["id"], tree["architecture"], engines, controlnet)


def _checkpoint(tree: dict[str, Any]) -> Checkpoint:
    return Checkpoint(
        id=tree["id"],
        unet=tree["unet"],
        signature=tree["signature"],
        architecture=tree["architecture"],
        locations=tuple(tree["locations"]),
        engines=tuple(map(_engine, tree["engines"])),
    )


def _engine(tree: dict[str, Any]) -> Engine:
    return Engine(
        id=tree["id"],
        kind=tree["kind"],
        plan=Path(tree["plan"]),
        manifest=Path(tree["manifest"]),
        tensorrt=tree["tensorrt"],
        compute_capabilities=tuple(tree["compute_capabilities"]),
        precision=tree["precision"],
        state=tree["state"],
        relative_error=tree["relative_error"],
        profiles=tuple(map(_profile, tree["profiles"])),
        limits=tuple(Limit(limit["gpu"], limit["pixels"]) for limit in tree["limits"]),
        speeds=tuple(map(_speed, tree["speeds"])),
        sample=tree.get("sample"),
    )


def _speed(tree: dict[str, Any]) -> Speed:
    return Speed(**{name: tree[name] for name in Speed.__dataclass_fields__})


def _profile(tree: dict[str, Any]) -> Profile:
    return Profile(tree["preset"], {name: Range(*tree[name]) for name in Call._fields})


class IndexFile:
    """The index on disk, read again whenever the file changes."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.index = EMPTY
        # Why there is none, in words.
        self.problem: str | None = None
        self._stamp: object = None

    def refresh(self) -> None:
        """Reads it again if it has changed. If it can't be read, the last one stays in force."""
        stamp = self._look()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            read = parse(self.path.read_text("utf-8"))
            self.index, self.problem = beside(read, self.path.parent), None
        except FileNotFoundError:
            self.problem = f"{self.path} does not exist: is sdtrtd running?"
        except (OSError, UnicodeDecodeError, Unreadable) as error:
            self.problem = f"{self.path}: {error}"

    def _look(self) -> object:
        try:
            stat = os.stat(self.path)
        except OSError as error:
            return error.errno
        return stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_size
