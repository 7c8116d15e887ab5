"""Weights that don't lie where engines could read them, such as those of ComfyUI's dynamic VRAM: fetched into memory of
their own, in the layout of an engine's inputs."""
from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol
from weakref import ref

from .binding import Input, OutOfMemory, Unfit

if TYPE_CHECKING:
    import torch

    from .signature import Places

# In bytes, of fp16 and of the addresses that TensorRT requires.
WIDTH, ALIGNMENT = 2, 256


class Memory(Protocol):
    """GPU memory that the front end knows of, and may take back between two calls."""

    # Bytes; None once it was taken back.
    buffer: torch.Tensor | None

    def release(self) -> None:
        """Gives it back."""


class Source(Protocol):
    """Where a UNet's weights are fetched from."""

    def shape(self, name: str) -> Sequence[int]:
        """Returns a parameter's shape. Raises Unfit if there is none that anybody else can read."""

    def state(self, name: str) -> Hashable:
        """Returns what a parameter's values follow from: as long as it is equal, so are they."""

    def fetch(self, name: str) -> torch.Tensor:
        """Returns a parameter with all that changes it applied, wherever it is."""

    def allocate(self, size: int) -> Memory:
        """Returns as many bytes. Raises OutOfMemory."""


class Read(NamedTuple):
    """How engines read a UNet's weights."""

    unet: torch.nn.Module
    places: Places
    # Whether they are to be examined in detail, because they may have changed.
    fresh: bool
    # None if they are read where PyTorch has them.
    source: Source | None


class Packed:
    """The weights of one UNet, fetched when their state changes. Keeps no UNet alive."""

    def __init__(self) -> None:
        self._memory: Memory | None = None
        self._unet: ref[torch.nn.Module] | None = None
        self._table: tuple[Input, ...] = ()
        # The states of what was fetched, by input.
        self._held: dict[str, list[Hashable]] = {}
        self._addresses: dict[str, int] = {}

    def release(self) -> None:
        """Gives the memory back."""
        if self._memory is not None:
            self._memory.release()
        self._memory = self._unet = None
        self._held = {}

    def follow(
        self, unet: torch.nn.Module, source: Source, table: tuple[Input, ...], fresh: bool
    ) -> dict[str, int]:
        """Returns each input's address in a dictionary, which is a new one whenever an address changes. `fresh` looks
        at the state of each parameter. Raises Unfit, and then holds nothing."""
        is_held = self._memory is not None and self._memory.buffer is not None
        if is_held and not fresh and self._is_of(unet, table):
            return self._addresses
        try:
            if not is_held or table != self._table:
                self._allocate(source, table)
            if not self._is_of(unet, table):
                self._held = {}
            self._unet, self._table = ref(unet), table
            self._fetch(source)
        except BaseException:
            self.release()
            raise
        return self._addresses

    def _is_of(self, unet: torch.nn.Module, table: tuple[Input, ...]) -> bool:
        return self._unet is not None and self._unet() is unet and self._table == table

    def _allocate(self, source: Source, table: tuple[Input, ...]) -> None:
        self.release()
        for each in table:
            misfit = each.misfit([source.shape(part) for part in each.parts])
            if misfit is not None:
                raise Unfit(misfit)
        places, size = layout(table)
        self._memory = source.allocate(size)
        buffer = self._memory.buffer
        if buffer is None:
            raise OutOfMemory("there is no GPU memory for the UNet's weights")
        self._addresses = {name: buffer.data_ptr() + place for name, place in places.items()}

    def _fetch(self, source: Source) -> None:
        """Fetches what has changed."""
        import torch

        from .weights import check_largest, is_wide, largest

        assert self._memory is not None and self._memory.buffer is not None
        buffer, start = self._memory.buffer, self._memory.buffer.data_ptr()
        wide: dict[str, torch.Tensor] = {}
        with torch.inference_mode():
            for each in self._table:
                states = [source.state(part) for part in each.parts]
                if self._held.get(each.name) == states:
                    continue
                self._held.pop(each.name, None)
                first = self._addresses[each.name] - start
                into = buffer[first : first + size_of(each)].view(torch.float16).view(each.shape)
                # The parameters' own order of dimensions.
                rows = into.permute(0, 3, 1, 2) if each.layout == "ohwi" else into
                found = [source.fetch(part) for part in each.parts]
                misfit = each.misfit([part.shape for part in found])
                if misfit is not None:
                    raise Unfit(misfit)
                for own, part in zip(rows.split([part.shape[0] for part in found]), found, strict=True):
                    own.copy_(part)
                wide |= {name: largest(of) for name, of in zip(each.parts, found, strict=True) if is_wide(of)}
                self._held[each.name] = states
            check_largest({name: of.to(buffer.device) for name, of in wide.items()})


def layout(table: Sequence[Input]) -> tuple[dict[str, int], int]:
    """Returns where each input begins, in bytes, and how many there are."""
    places, end = {}, 0
    for each in table:
        places[each.name] = end
        end += -(-size_of(each) // ALIGNMENT) * ALIGNMENT
    return places, end


def size_of(each: Input) -> int:
    return math.prod(each.shape) * WIDTH
