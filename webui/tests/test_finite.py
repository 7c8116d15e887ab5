"""What counts as finite. Needs torch, with or without a GPU; skipped without torch."""
import itertools
import math
import unittest

try:
    import torch
except ImportError:
    raise unittest.SkipTest("torch is not installed") from None

from sdtrt.look import Look, is_finite


class Finite(unittest.TestCase):
    def test_one_value_that_is_not_finite_is_found_anywhere(self):
        for dtype, value in itertools.product(
            (torch.float16, torch.bfloat16, torch.float32), (math.nan, math.inf, -math.inf)
        ):
            for place in (0, 1, 15, 16, 777, 2 * 4 * 13 * 9 - 1):
                latent = torch.randn(2, 4, 13, 9).to(dtype)
                self.assertTrue(is_finite(latent))
                latent.view(-1)[place] = value
                self.assertFalse(is_finite(latent), (dtype, value, place))
                self.assertFalse(is_finite(latent.transpose(2, 3)))

    def test_the_largest_values_are_finite_at_any_size(self):
        for dtype in (torch.float16, torch.bfloat16, torch.float32):
            latent = torch.full((2, 4, 256, 256), torch.finfo(dtype).max, dtype=dtype)
            self.assertTrue(is_finite(latent), dtype)
            self.assertTrue(is_finite(-latent), dtype)

    def test_an_empty_tensor_is_finite(self):
        self.assertTrue(is_finite(torch.zeros(2, 4, 8, 8)))

    def test_a_later_check_says_the_same_of_each(self):
        good, huge = torch.randn(2, 4, 8, 8), torch.full((1, 4), torch.finfo(torch.float16).max, dtype=torch.float16)
        for value in (math.nan, math.inf, -math.inf):
            bad = good.half()
            bad[1, 2, 3, 4] = value
            self.assertEqual(Look(good, bad, huge).read(), [True, False, True])

    def test_a_later_check_is_of_the_values_at_its_start(self):
        latent = torch.zeros(1, 4, 8, 8)
        look = Look(latent)
        latent.fill_(math.nan)
        self.assertEqual(look.read(), [True])
