"""The line that says what engines did in a job."""
import unittest

from sdtrt import index, tally
from sdtrt.calls import Call

from . import samples

SMALL, LARGE = Call(512, 512, 2, 77), Call(1024, 1024, 2, 77)


def engine(name):
    return index.parse(samples.text(shared=[samples.engine(name)])).shared(samples.signature_of())[0]


class Line(unittest.TestCase):
    def setUp(self):
        self.tally, self.open, self.fixed = tally.Tally(), engine("open" * 4), engine("fixed" * 4)

    def count(self, entry, call, start, step, times):
        self.tally.start_pass()
        for number in range(times):
            self.tally.note(entry, call, start + number * step)

    def line(self, gain=lambda entry, call: None):
        return self.tally.line(gain)

    def test_nothing_served_says_nothing(self):
        self.assertEqual(self.line(), "")

    def test_the_rate_leaves_out_the_first_call_of_each_pass(self):
        self.tally.note(self.open, SMALL, 0.0)
        # The first call loads the engine.
        for number in range(3):
            self.tally.note(self.open, SMALL, 5.0 + number / 76)
        self.count(self.open, SMALL, 100.0, 1 / 76, 4)
        self.assertEqual(self.line(lambda entry, call: 2.13), "engine openopenopen at 512×512, 76 it/s, 2.1 × PyTorch")

    def test_each_engine_and_size_is_named(self):
        self.count(self.fixed, SMALL, 0.0, 0.02, 5)
        self.count(self.open, LARGE, 1.0, 0.4, 5)
        gain = lambda entry, call: 0.9 if call == LARGE else None
        self.assertEqual(
            self.line(gain),
            "engine fixedfixedfi at 512×512, 50 it/s; engine openopenopen at 1024×1024, 2.5 it/s, 0.9 × PyTorch",
        )

    def test_what_pytorch_computes_in_between_is_not_counted(self):
        self.count(self.open, SMALL, 0.0, 0.05, 4)
        self.tally.stop()
        self.count(self.open, SMALL, 9.0, 0.05, 4)
        self.assertEqual(self.line(), "engine openopenopen at 512×512, 20 it/s")

    def test_too_few_calls_have_no_rate_and_a_new_job_counts_anew(self):
        self.count(self.open, SMALL, 0.0, 1.0, 2)
        self.assertEqual(self.line(), "engine openopenopen at 512×512")
        self.tally.start_job()
        self.assertEqual(self.line(), "")
