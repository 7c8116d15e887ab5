"""What counts as finite. Needs torch, with or without a GPU: without it is left out."""
import itertools
import math
import unittest

try:
    import torch
except ImportError:
    raise unittest.SkipTest("torch is not there") from None

from sdtrt.unet import is_finite


class Finite(unittest.TestCase):
    def test_one_number_that_is_not_is_found_anywhere(self):
        for dtype, value in itertools.product(
            (torch.float16, torch.bfloat16, torch.float32), (math.nan, math.inf, -math.inf)
        ):
            for place in (0, 1, 15, 16, 777, 2 * 4 * 13 * 9 - 1):
                latent = torch.randn(2, 4, 13, 9).to(dtype)
                self.assertTrue(is_finite(latent))
                latent.view(-1)[place] = value
                self.assertFalse(is_finite(latent), (dtype, value, place))
                self.assertFalse(is_finite(latent.transpose(2, 3)))

    def test_the_largest_numbers_are_finite_at_any_size(self):
        for dtype in (torch.float16, torch.bfloat16, torch.float32):
            latent = torch.full((2, 4, 256, 256), torch.finfo(dtype).max, dtype=dtype)
            self.assertTrue(is_finite(latent), dtype)
            self.assertTrue(is_finite(-latent), dtype)

    def test_what_is_empty_has_none(self):
        self.assertTrue(is_finite(torch.zeros(2, 4, 8, 8)))
