"""What a person chooses from: any engine that fits, a certain one, or none."""
from __future__ import annotations

from ..index import Checkpoint, Engine, Index, Signature

AUTOMATIC, NEVER = "automatic", "never (PyTorch)"


def labels(index: Index) -> list[str]:
    """Returns a label for each engine: what it is for, what it takes and the first digits of its id."""
    holders: list[Signature | Checkpoint] = [*index.signatures.values(), *index.checkpoints]
    return list(dict.fromkeys(label(each.architecture, engine) for each in holders for engine in each.engines))


def label(architecture: str, engine: Engine) -> str:
    presets = ", ".join(dict.fromkeys(profile.preset for profile in engine.profiles))
    return f"{architecture} {presets} {engine.id[:12]}"


def choice(label: str, index: Index) -> str | None:
    """Returns the first digits of the engine with this label, if there is one here."""
    return label.rpartition(" ")[2] if label in labels(index) else None
