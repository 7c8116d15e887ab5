"""Whether the weights in memory are those inside an engine: a sample of them, which the daemon's worker took too when
it put them inside."""
from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from .signature import Places

HEADER = b"sdtrt sample 1\n"
# Of each parameter, as many as there are.
NUMBERS = 64


def digest(parameters: Iterable[tuple[str, bytes]]) -> str:
    """Of the first numbers of each parameter in fp16, little-endian, in byte order of the names."""
    found = hashlib.sha256(HEADER)
    for name, numbers in parameters:
        found.update(name.encode() + b"\n" + numbers)
    return found.hexdigest()


def sample(places: Places) -> str:
    """Of a UNet's parameters, wherever they are. One transfer from each device."""
    import torch

    names = sorted(places, key=str.encode)
    with torch.no_grad():
        firsts = [first(held[key]) for held, key in (places[name] for name in names)]
        by_device: dict[torch.device, list[int]] = {}
        for number, numbers in enumerate(firsts):
            by_device.setdefault(numbers.device, []).append(number)
        for numbers in by_device.values():
            lengths = [firsts[number].numel() for number in numbers]
            there = torch.cat([firsts[number] for number in numbers]).cpu().split(lengths)
            for number, part in zip(numbers, there, strict=True):
                firsts[number] = part
    return digest((name, numbers.numpy().astype("<f2").tobytes()) for name, numbers in zip(names, firsts, strict=True))


def first(parameter: torch.Tensor) -> torch.Tensor:
    """The first numbers, in the order of the shape however they are laid out, without touching the others."""
    import torch

    part = parameter.detach()
    while part.dim() > 1 and part[0].numel() >= NUMBERS:
        part = part[0]
    return part.flatten()[:NUMBERS].to(torch.float16)
