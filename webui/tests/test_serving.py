"""Which engine serves a call."""
import json
import unittest

from sdtrt import index, serving
from sdtrt.calls import Call

from . import samples

GPU = samples.HERE.gpu
CALL = Call(512, 512, 2, 77)


def parsed(*engines):
    return index.parse(samples.text(shared=engines)).shared(samples.signature_of())


class Serving(unittest.TestCase):
    def test_the_fastest_engine_serves(self):
        engine, fixed = samples.engine, [samples.fixed()]
        slow, fast = [samples.speed(9.0)], [samples.speed(8.0)]
        for name, engines, call, served in (
            ("a fixed one before an open one", (engine("a"), engine("b", profiles=fixed)), {}, "b"),
            ("the daemon's order", (engine("a"), engine("b")), {}, "a"),
            ("another size", (engine("a"), engine("b", profiles=fixed)), {"width": 520}, "a"),
            ("another batch", (engine("a"), engine("b", profiles=fixed)), {"batch": 1}, "a"),
            ("too many tokens", (engine("a", profiles=fixed), engine("b")), {"tokens": 231}, None),
            ("no engine", (), {}, None),
            ("its limit", (engine("a", limits=[{"gpu": GPU, "pixels": 512 * 512}]),), {}, "a"),
            ("above its limit", (engine("a", profiles=[samples.LARGE], limits=[{"gpu": GPU, "pixels": 512 * 512}]),
                                engine("b", profiles=[samples.LARGE])), {"width": 576}, "b"),
            ("a limit elsewhere", (engine("a", profiles=[samples.LARGE], limits=[{"gpu": "another", "pixels": 1}]),),
             {"width": 576}, "a"),
            ("known speeds", (engine("a", profiles=fixed, speeds=slow), engine("b", speeds=fast)), {}, "b"),
            ("one known speed", (engine("a", profiles=fixed), engine("b", speeds=fast)), {}, "a"),
            ("speeds elsewhere", (engine("a", profiles=fixed, speeds=slow),
                                  engine("b", speeds=[samples.speed(8.0, gpu="another")])), {}, "a"),
        ):
            with self.subTest(name):
                best = serving.best(parsed(*engines), CALL._replace(**call), GPU)
                self.assertEqual(best and best.engine.id, served)

    def test_the_profile_is_the_first_that_accepts_the_call(self):
        engines = parsed(samples.engine(profiles=[samples.SMALL, samples.LARGE]))
        self.assertEqual(serving.best(engines, CALL, GPU).profile, 0)
        self.assertEqual(serving.best(engines, CALL._replace(width=1024), GPU).profile, 1)

    def test_speeds_are_of_about_the_same_shape(self):
        speeds = [index.Speed(GPU, 512, 512, 2, 77, 8.0), index.Speed(GPU, 768, 512, 2, 77, 12.0),
                  index.Speed(GPU, 512, 512, 2, 154, 8.5), index.Speed("another", 512, 512, 8, 77, 1.0)]
        for call, milliseconds in (
            ({}, 8.0), ({"tokens": 231}, 8.5), ({"width": 520}, 8.0), ({"width": 768}, 12.0),
            ({"width": 512, "height": 768}, 12.0), ({"width": 1024}, None), ({"batch": 1}, None), ({"batch": 8}, None),
        ):
            self.assertEqual(serving.known(speeds, CALL._replace(**call), GPU), milliseconds, call)

    def test_an_engine_is_fixed_by_its_size_and_batch(self):
        for profiles, is_fixed in (
            ([samples.fixed()], True), ([samples.fixed(tokens=(77, 77, 77))], True), ([samples.SMALL], False),
            ([samples.fixed() | {"batch": [1, 2, 2]}], False), ([samples.fixed(), samples.LARGE], False),
        ):
            (engine,) = parsed(samples.engine(profiles=profiles))
            self.assertEqual(engine.is_fixed, is_fixed, json.dumps(profiles))
