"""What a call needs from an engine, and which optimization profile serves it."""
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .index import Profile

PIXELS_PER_LATENT = 8
# A1111 splits prompts into chunks of 75 tokens and adds a begin and an end token to each.
TOKENS_PER_PIECE = 75
POSITIONS_PER_PIECE = 77


class Call(NamedTuple):
    """Pixels of the image, and the UNet's batch and tokens."""

    width: int
    height: int
    batch: int
    tokens: int

    @classmethod
    def of(cls, sample: Sequence[int], context: Sequence[int]) -> Call:
        """From the shapes [batch, channels, height, width] and [batch, tokens, width]."""
        return cls(
            sample[3] * PIXELS_PER_LATENT, sample[2] * PIXELS_PER_LATENT, sample[0], context[1]
        )

    @classmethod
    def usual(cls, profile: Profile) -> Call:
        """Returns the call that a profile is best at."""
        return cls(*(profile.sizes[name].usual for name in cls._fields))

    def __str__(self) -> str:
        return f"{self.width}×{self.height}, batch {self.batch}, {self.tokens} tokens"


def serving(profiles: Sequence[Profile], call: Call) -> int | None:
    """Returns the index of the first profile that covers the call, or None."""
    for number, profile in enumerate(profiles):
        if not misfits(profile, call):
            return number
    return None


def misfits(profile: Profile, call: Call) -> list[str]:
    """Returns the dimensions of the call that are outside the profile."""
    return [name for name, value in call._asdict().items() if value not in profile.sizes[name]]


def outside(profiles: Sequence[Profile], call: Call) -> str:
    """Returns why no profile covers the call, in words."""
    why = (
        f"{profile.preset} takes "
        + " and ".join(f"{name} {profile.sizes[name]}" for name in misfits(profile, call))
        for profile in profiles
    )
    return f"{call}: {'; '.join(why)}"


def advice(call: Call, architecture: str, checkpoint: str | None = None) -> str:
    """Returns the command that says what to build for such a call, for one checkpoint or for all."""
    # With the prompt and the negative prompt; instruct-pix2pix adds a third.
    copies = 3 if architecture == "instruct-pix2pix" else 2
    images = -(-call.batch // copies)
    tokens = -(-call.tokens // POSITIONS_PER_PIECE) * TOKENS_PER_PIECE
    which = f" {checkpoint}" if checkpoint else ""
    return f"sdtrtctl check {call.width}x{call.height} --batch {images} --tokens {tokens}{which}"
