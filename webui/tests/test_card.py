"""Kernels that were compiled for an equal card in another slot."""
import ctypes
import itertools
import re
import sys
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from sdtrt import kernels
from sdtrt.card import Card, current, moved

# What ends a description in `cache`, with a letter for the kernel and an address after it.
KERNEL = re.compile(rb'\xff"pciDeviceId":9(.)\d{4}')


def cache(pci, cuda, letters="k", clock=1980, address=1000):
    """A cache as TensorRT-RTX 1.6 makes it: a description of the card before each kernel."""
    card = b'{"maxGridSize":[1,2],"pciDeviceId":%s,"clock":%d,"cudaDeviceId":%s}' % (pci, clock, cuda)
    kernel = lambda letter: b'\xff"pciDeviceId":9%s%d' % (letter.encode(), address)
    return b"".join(b"\x00\x01" + card + kernel(letter) for letter in letters)


class TensorRt:
    """As TensorRT-RTX 1.6: takes kernels of one card only. Addresses in what it writes differ each time. What it `says`
    of a cache that it rejects depends on the bindings."""

    addresses = itertools.count(1001)

    def __init__(self, pci, cuda=b"0", clock=1980, compiles="", says=False):
        self.card, self.taken, self.compiles, self.says = (pci, cuda, clock), "", compiles, says

    def create_runtime_cache(self):
        return self

    def set_runtime_cache(self, cache):
        # Creating a context compiles what is not there.
        self.taken += "".join(letter for letter in self.compiles if letter not in self.taken)

    def deserialize(self, data):
        pci, cuda, clock = self.card
        letters = [letter.decode() for letter in KERNEL.findall(data)]
        if KERNEL.sub(rb"\1", data) != KERNEL.sub(rb"\1", cache(pci, cuda, letters, clock)):
            return self.says
        self.taken += "".join(letter for letter in letters if letter not in self.taken)
        return True

    def serialize(self):
        pci, cuda, clock = self.card
        return cache(pci, cuda, sorted(self.taken), clock, next(self.addresses))


class Moved(unittest.TestCase):
    def test_a_cache_says_where_this_card_is(self):
        for before, card, after in (
            ((b"6", b"0"), Card(7, 0), (b"7", b"0")), ((b"7", b"1"), Card(0, 0), (b"0", b"0")),
            # The other one is moved all the same.
            ((b"6", b"1"), Card(16, 0), (b"6", b"0")), ((b"16", b"0"), Card(31, 1), (b"31", b"1")),
            ((b"6", b"0"), Card(6, 0), (b"6", b"0")),
        ):
            self.assertEqual(moved(cache(*before, "ab"), card), cache(*after, "ab"), f"{before} to {card}")
        for other in (b"", b"kernels", b'"pciDeviceId":6', b'{"pciDeviceId":6}'):
            self.assertEqual(moved(other, Card(1, 2)), other)


class Here(unittest.TestCase):
    def current(self, failure=0):
        """Where the card is, by a driver that fails with this code or says 7 of the second card."""

        def get(device, number):
            device._obj.value = 100 + number
            return failure

        def attribute(value, which, device):
            # CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID.
            value._obj.value = 7 if (which, device.value) == (34, 101) else -1
            return 0

        driver = SimpleNamespace(cuDeviceGet=get, cuDeviceGetAttribute=attribute)
        torch = SimpleNamespace(cuda=SimpleNamespace(current_device=lambda: 1))
        with mock.patch.dict(sys.modules, torch=torch), mock.patch.object(ctypes, "CDLL", lambda name: driver):
            return current()

    def test_the_driver_says_where_the_current_card_is(self):
        self.assertEqual(self.current(), Card(7, 1))
        self.assertIsNone(self.current(failure=101))


class Stored(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = Path(folder.name) / "a.cache"

    def start(self, card, **runtime):
        """Creates a context, lets it save what it has, and returns TensorRT and the cache."""
        found = TensorRt(b"%d" % card.pci, b"%d" % card.cuda, **runtime)
        made = kernels.KernelCache(found, self.file, card)
        made.stale = True
        made.save()
        return found

    def taken(self, card, **runtime):
        found = TensorRt(b"%d" % card.pci, b"%d" % card.cuda, **runtime)
        kernels.KernelCache(found, self.file, card)
        return found.taken

    def test_two_equal_cards_use_each_others_kernels(self):
        one, two = Card(6, 0), Card(7, 1)
        self.start(one, compiles="a")
        self.assertEqual(self.taken(two), "a")
        self.start(two, compiles="b")
        self.assertEqual(sorted(self.taken(one)), ["a", "b"])

    def test_what_has_nothing_new_is_not_written(self):
        self.start(Card(6, 0), compiles="ab")
        before = self.file.read_bytes(), self.file.stat().st_ino
        self.start(Card(7, 0), compiles="ab")
        self.assertEqual((self.file.read_bytes(), self.file.stat().st_ino), before)

    def test_a_file_that_is_gone_is_written_again(self):
        runtime = TensorRt(b"6", compiles="a")
        made = kernels.KernelCache(runtime, self.file, Card(6, 0))
        for _ in range(2):
            made.stale = True
            made.save()
            self.assertEqual(self.taken(Card(6, 0)), "a")
            self.file.unlink()

    def test_what_others_have_written_meanwhile_stays(self):
        self.start(Card(6, 0), compiles="a")
        runtime = TensorRt(b"6")
        made = kernels.KernelCache(runtime, self.file, Card(6, 0))
        self.start(Card(7, 0), compiles="b")
        runtime.taken += "c"
        made.stale = True
        made.save()
        self.assertEqual(sorted(self.taken(Card(6, 0))), ["a", "b", "c"])

    def test_what_was_rejected_is_replaced(self):
        self.start(Card(6, 0), compiles="a", clock=2000)
        self.assertEqual(self.taken(Card(6, 0)), "", "another model by its clock")
        self.start(Card(6, 0), compiles="a", says=None)
        self.assertEqual(self.taken(Card(6, 0)), "a", "by the description alone")
        damaged = bytearray(self.file.read_bytes())
        damaged[0] ^= 1
        self.file.write_bytes(damaged)
        self.start(Card(6, 0), compiles="a")
        self.assertEqual(self.taken(Card(6, 0)), "a", "as long as before")
