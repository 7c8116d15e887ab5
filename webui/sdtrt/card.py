"""The card that a kernel cache is for.

TensorRT-RTX 1.6 writes a description of the card before each kernel in a cache, and loads the cache only where all of
it is the same: besides name, memory, clocks and driver also the card's number on its PCI bus and CUDA's number of it,
which change nothing in a kernel. So those of an equal card in another slot, or of the same card as another process
numbers it, would be compiled again, unless a cache says this card's numbers. docs/engines.md has what was measured.
"""
from __future__ import annotations

import ctypes
import re
from typing import NamedTuple

# A description, in JSON, and the two numbers in it.
DESCRIPTION = re.compile(rb'\{"maxGridSize":[^{}]*\}')
NUMBER = re.compile(rb'"(pciDeviceId|cudaDeviceId)":(\d+)')
# CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID in cuda.h.
PCI_DEVICE_ID = 34


class Card(NamedTuple):
    # Its number on the PCI bus, and among those that CUDA shows to this process.
    pci: int
    cuda: int


def current() -> Card | None:
    """Returns CUDA's current GPU; None if the driver does not say where it is."""
    import torch

    number = torch.cuda.current_device()
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    device, pci = ctypes.c_int(), ctypes.c_int()
    failed = driver.cuDeviceGet(ctypes.byref(device), number)
    failed = failed or driver.cuDeviceGetAttribute(ctypes.byref(pci), PCI_DEVICE_ID, device)
    return None if failed else Card(pci.value, number)


def moved(cache: bytes, card: Card) -> bytes:
    """Returns a cache that says this card's numbers. A number of other length stays, since the descriptions' lengths
    are written before them; TensorRT-RTX then compiles the kernels again."""
    numbers = {b"pciDeviceId": b"%d" % card.pci, b"cudaDeviceId": b"%d" % card.cuda}

    def put(found: re.Match[bytes]) -> bytes:
        name, number = found.groups()
        new = numbers[name]
        return b'"%s":%s' % (name, new) if len(new) == len(number) else found[0]

    return DESCRIPTION.sub(lambda found: NUMBER.sub(put, found[0]), cache)


def descriptions(cache: bytes) -> frozenset[bytes]:
    """Returns the cards that a cache says it is for."""
    return frozenset(DESCRIPTION.findall(cache))
