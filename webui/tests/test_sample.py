"""The sample that tells whether the weights in memory are those inside an engine."""
import struct
import unittest

from sdtrt import sample

try:
    import torch
except ImportError:
    torch = None


class Digests(unittest.TestCase):
    def test_it_is_the_hash_of_bytes_that_the_daemon_hashes_too(self):
        # The Rust crate has the same value in a test of its own.
        pinned = "2ffd26627bf834bd7115c18ed11eb580a0db55aa34bef6454a642dcf70dcd285"
        counting = lambda count: b"".join(struct.pack("<H", number) for number in range(count))
        self.assertEqual(sample.digest([("a", counting(3)), ("b.weight", counting(64))]), pinned)


@unittest.skipIf(torch is None, "needs torch")
class Samples(unittest.TestCase):
    def sample(self, **parameters):
        return sample.sample({name: (parameters, name) for name in parameters})

    def test_only_values_count_and_not_types_layouts_or_places(self):
        kernel = torch.arange(4 * 8 * 3 * 3, dtype=torch.float32).reshape(4, 8, 3, 3)
        bias = torch.arange(5, dtype=torch.float32)
        halves = {"kernel": kernel.half(), "bias": bias.half()}
        expected = sample.digest(
            (name, halves[name].flatten()[:64].numpy().tobytes()) for name in ("bias", "kernel")
        )
        turned = kernel.half().contiguous(memory_format=torch.channels_last)
        for same in (
            {"kernel": kernel, "bias": bias},
            {"bias": bias.bfloat16(), "kernel": kernel.double()},
            {"kernel": torch.nn.Parameter(turned), "bias": bias},
        ):
            self.assertEqual(self.sample(**same), expected)
        self.assertNotEqual(self.sample(kernel=kernel + 1, bias=bias), expected)
        self.assertNotEqual(self.sample(kernel=kernel, bias=bias, more=bias), expected)


if __name__ == "__main__":
    unittest.main()
