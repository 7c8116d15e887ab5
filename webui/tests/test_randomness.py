"""A repeated pass draws the same random numbers."""
import unittest
from types import SimpleNamespace

from sdtrt.a1111 import repeat

try:
    import torch
except ImportError:
    torch = None


class Hundred:
    """A source of numbers like the web UI's own."""

    def __init__(self):
        self.offset = 0

    def next(self):
        self.offset += 1
        return self.offset


class Random(unittest.TestCase):
    def test_a_copied_source_of_noise_draws_the_same(self):
        noise = SimpleNamespace(is_first=True, generators=[Hundred()])
        saved = repeat.copied(noise)
        noise.is_first = False
        noise.generators[0].next()
        for _ in range(2):
            other = repeat.copied(saved)
            self.assertTrue(other.is_first)
            self.assertEqual(other.generators[0].next(), 1)

    @unittest.skipIf(torch is None, "torch is not installed")
    def test_torchs_generators_too(self):
        noise = SimpleNamespace(generators=[torch.Generator().manual_seed(3)])
        torch.randn(3, generator=noise.generators[0])
        saved = repeat.copied(noise)
        draw = lambda of: torch.randn(4, generator=of.generators[0]).tolist()
        self.assertEqual([draw(repeat.copied(saved)) for _ in range(2)], [draw(noise)] * 2)

    @unittest.skipIf(torch is None, "torch is not installed")
    def test_shared_generators_too(self):
        repeat.rng.nv_rng = Hundred()
        repeat.devices.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.addCleanup(delattr, repeat.rng, "nv_rng")
        draw = lambda: (torch.randn(4).tolist(), repeat.rng.nv_rng.next())
        states = repeat.random_states()
        first = draw()
        for _ in range(2):
            repeat.put_random_states(states)
            self.assertEqual(draw(), first)
