"""Engines are measured beside PyTorch, and the faster one computes."""
import json
import unittest

from sdtrt import place, timings
from sdtrt.a1111 import hooks
from sdtrt.calls import Call
from sdtrt.timings import Timing

from . import samples
from .test_unet import Served

CALL = Call(512, 512, 2, 77)
ABOUT = {"gpu": samples.HERE.gpu, "driver": samples.DRIVER, "front_end": "AUTOMATIC1111, sdp"}


class Laps(unittest.TestCase):
    def test_pytorch_is_faster_only_by_more_than_the_noise(self):
        for name, engine, torch, slower in (
            ("faster", [10, 10, 10], [30, 30, 30], False),
            ("slower", [12, 12, 12], [10, 10, 10], True),
            ("the same", [10, 10, 10], [10, 10, 10], False),
            ("within the noise", [10, 12, 11, 10], [10, 10, 11, 10], False),
            ("one pair far off does not count", [12, 12, 12, 90], [10, 10, 10, 10], True),
            ("nor for PyTorch", [12, 12, 12, 12], [10, 10, 10, 90], True),
            ("two pairs count", [12, 12, 12, 12], [10, 10, 90, 90], False),
            ("two laps", [12.0, 12.1], [10, 10], True),
        ):
            with self.subTest(name):
                self.assertEqual(timings.of_laps(CALL, engine, torch).is_slower, slower)

    def test_an_engine_that_was_slower_is_measured_again_less_and_less_often(self):
        slower = Timing(CALL, 12, 10, 1, measured=1_000_000)
        hour, week = 3600, 7 * 24 * 3600
        for times, age, doubtful in (
            (1, 0, False), (1, 599, False), (1, 600, True), (2, 600, False), (2, hour, True), (3, hour, False),
            (3, 6 * hour, True), (9, week - 1, False), (9, week, True), (1, -1, True),
        ):
            with self.subTest(times=times, age=age):
                self.assertEqual(slower._replace(times=times).is_doubtful(1_000_000 + age), doubtful)
        self.assertFalse(slower._replace(engine=10).is_doubtful(1_000_000 + week), "one that is faster serves anyway")

    def test_medians_are_kept(self):
        timing = timings.of_laps(CALL, [9, 10, 50], [21, 20, 22])
        self.assertEqual((timing.engine, timing.torch, timing.gain), (10, 21, 2.1))

    def test_a_timing_holds_for_similar_calls(self):
        known = [Timing(CALL, 8, 16, 0), Timing(CALL._replace(width=768), 12, 16, 0)]
        for call, engine in (
            ({}, 8), ({"width": 520}, 8), ({"width": 600}, 8), ({"width": 640}, 12), ({"width": 720}, 12),
            ({"width": 512, "height": 768}, 12), ({"width": 1024}, None), ({"batch": 1}, None), ({"tokens": 154}, None),
        ):
            with self.subTest(**call):
                found = timings.nearest(known, CALL._replace(**call))
                self.assertEqual(found and found.engine, engine)


class Stored(Served):
    def test_they_hold_for_what_they_were_measured_with(self):
        stored = timings.Timings(self.folder / "timings")
        stored.record("engine", ABOUT, Timing(CALL, 8.5, 17.0, 0.1))
        again = timings.Timings(self.folder / "timings")
        self.assertEqual([timing[:4] for timing in again.of("engine", ABOUT)], [(CALL, 8.5, 17.0, 0.1)])
        for name, value in (("gpu", "another"), ("driver", "1"), ("front_end", "AUTOMATIC1111, xformers")):
            self.assertEqual(again.of("engine", ABOUT | {name: value}), [], name)
        self.assertEqual(again.of("other", ABOUT), [])

    def test_a_later_one_replaces_an_earlier_one_and_others_stay(self):
        one, other = (timings.Timings(self.folder / "timings") for _ in range(2))
        one.record("engine", ABOUT, Timing(CALL, 8.0, 16.0, 0.0))
        other.record("engine", ABOUT | {"gpu": "another"}, Timing(CALL, 5.0, 9.0, 0.0))
        one.record("engine", ABOUT, Timing(CALL, 7.0, 16.0, 0.0))
        rows = json.loads((self.folder / "timings/engine.json").read_text())["timings"]
        self.assertEqual([(row["gpu"], row["engine_milliseconds"]) for row in rows],
                         [("another", 5.0), (samples.HERE.gpu, 7.0)])
        self.assertEqual([path.name for path in self.folder.glob("timings/*")], ["engine.json"])

    def test_it_is_counted_how_often_an_engine_was_slower(self):
        stored = timings.Timings(self.folder / "timings")
        for engine, times in ((20.0, 1), (21.0, 2), (20.0, 3), (8.0, 1), (20.0, 1)):
            stored.record("engine", ABOUT, Timing(CALL, engine, 16.0, 0.5))
            (found,) = stored.of("engine", ABOUT)
            self.assertEqual((found.engine, found.times), (engine, times))

    def test_damaged_files_are_as_none(self):
        folder = self.folder / "timings"
        folder.mkdir()
        for text in ("", "{", "[]", "{}", '{"version": 2, "timings": []}', '{"version": 1, "timings": [{}]}'):
            (folder / "engine.json").write_text(text)
            self.assertEqual(timings.Timings(folder).of("engine", ABOUT), [], text)
        timings.Timings(folder).record("engine", ABOUT, Timing(CALL, 8.0, 16.0, 0.0))
        self.assertEqual(len(timings.Timings(folder).of("engine", ABOUT)), 1)


class Measured(Served):
    def setUp(self):
        super().setUp()
        self.restart()

    def restart(self):
        milliseconds = self.gpu.milliseconds
        self.gpu = samples.Gpu(self, self.folder, measures=True)
        self.gpu.milliseconds = milliseconds

    def computed(self, unet, count=1, **call):
        """Returns what computes the last of some calls, `e` or `P`."""
        return [unet.forward(*samples.call(**call))[0] for _ in range(count)][-1]

    def second_job(self, unet, **call):
        """Begins the second job with such calls."""
        self.webui.job()
        self.computed(unet, **call)
        self.webui.job()

    def test_the_second_call_is_computed_by_both_and_the_times_stored(self):
        unet = self.start(samples.engine())
        self.webui.job()
        self.computed(unet, 5)
        self.assertEqual(self.webui.torch_calls, 0, "nobody waits for it in the first job")
        self.webui.job()
        self.computed(unet)
        self.assertEqual(self.webui.torch_calls, 0, "the first call is slower")
        self.assertEqual(self.computed(unet), "e")
        self.assertEqual(self.webui.torch_calls, 8, "two turns of one that is not timed and three that are")
        self.computed(unet, 5)
        self.webui.job()
        self.computed(unet, 5)
        self.restart()
        self.webui.job()
        self.computed(hooks.unet, 5)
        self.assertEqual(self.webui.torch_calls, 8, "never again")
        (row,) = json.loads((self.folder / "timings/engine.json").read_text())["timings"]
        self.assertEqual((row["engine_milliseconds"], row["torch_milliseconds"]), (10.0, 30.0))
        self.assertEqual([row[name] for name in Call._fields], list(CALL))
        self.assertEqual((row["gpu"], row["driver"]), (samples.HERE.gpu, samples.DRIVER))

    def test_where_pytorch_is_faster_it_computes_and_says_so(self):
        unet = self.start(samples.engine())
        self.gpu.milliseconds = {"engine": 40.0}
        self.second_job(unet)
        self.assertEqual(self.computed(unet, 2), "e", "nothing is known of PyTorch yet")
        self.assertEqual(self.computed(unet), "P")
        self.assertIn("PyTorch takes 30.0 ms for a call like this on this GPU, and engine engine 40.0 ms",
                      " ".join(self.gpu.said))
        self.assertEqual(self.computed(unet, 2, width=768), "e", "another size")
        self.restart()
        unet = hooks.unet
        self.webui.job()
        self.assertEqual(self.computed(unet), "P", "after a restart")
        self.publish(samples.engine(), samples.engine("fixed", profiles=[samples.fixed()]))
        self.webui.job()
        self.assertEqual(unet.forward(*samples.call()), "fixed's of a", "another engine may be faster")

    def test_after_a_while_it_is_measured_again(self):
        unet = self.start(samples.engine())
        self.gpu.milliseconds = {"engine": 40.0}
        self.second_job(unet)
        self.assertEqual(self.computed(unet, 3), "P")
        path = self.folder / "timings/engine.json"
        tree = json.loads(path.read_text())
        tree["timings"][0]["time"] -= 700
        path.write_text(json.dumps(tree))
        # Something else had used the GPU.
        self.gpu.milliseconds = {}
        self.restart()
        unet = hooks.unet
        self.second_job(unet)
        self.assertEqual(self.computed(unet, 4), "e")
        self.assertEqual(json.loads(path.read_text())["timings"][0]["engine_milliseconds"], 10.0)

    def test_an_engine_can_be_preferred(self):
        unet = self.start(samples.engine())
        self.gpu.milliseconds = {"engine": 40.0}
        tree = json.loads(hooks.place.index.read_text())
        hooks.place.index.write_text(json.dumps(tree | {"prefer": "engine"}))
        self.second_job(unet)
        self.assertEqual(self.computed(unet, 4), "e")

    def test_a_faster_engine_serves_instead_of_a_slower_one(self):
        unet = self.start(samples.engine("fixed", profiles=[samples.fixed()]), samples.engine("open"))
        self.gpu.milliseconds = {"fixed": 40.0, "open": 20.0}
        self.second_job(unet)
        self.assertEqual(self.computed(unet, 3), "o")

    def test_nothing_is_measured_while_pytorch_takes_a_short_cut(self):
        unet = self.start(samples.engine())
        self.webui.models.model_data.sd_model.applied_token_merged_ratio = 0.5
        self.second_job(unet)
        self.computed(unet, 4)
        self.assertEqual(self.webui.torch_calls, 0)
        self.webui.models.model_data.sd_model.applied_token_merged_ratio = 0
        self.webui.job()
        self.computed(unet, 4)
        self.assertEqual(self.webui.torch_calls, 8)

    def test_slow_calls_are_measured_less_often(self):
        unet = self.start(samples.engine())
        self.gpu.torch_milliseconds = 2000.0
        self.second_job(unet)
        self.computed(unet, 4)
        self.assertEqual(self.webui.torch_calls, 3)

    def test_without_memory_for_pytorch_the_engine_serves(self):
        unet = self.start(samples.engine())
        self.second_job(unet)
        self.computed(unet)
        forward = unet.host.torch_forward

        def short(*args, **kwargs):
            raise RuntimeError("CUDA out of memory")

        unet.host.torch_forward = short
        self.addCleanup(setattr, unet.host, "torch_forward", forward)
        self.assertEqual(self.computed(unet, 3), "e")
        self.assertIn("is not compared with PyTorch's: out of memory", " ".join(self.gpu.said))
        self.assertEqual(len(list(self.folder.glob("timings/*"))), 0)

    def test_what_cannot_be_stored_is_known_until_the_end(self):
        unet = self.start(samples.engine())
        (self.folder / "timings").write_text("in the way")
        self.second_job(unet)
        self.assertEqual(self.computed(unet, 3), "e")
        self.assertIn("could not be saved", " ".join(self.gpu.said))
        self.webui.job()
        self.computed(unet, 3)
        self.assertEqual(self.webui.torch_calls, 8, "in this process it is known")

    def test_another_place_has_its_own(self):
        self.assertEqual(place.Place(self.folder / "other").timings.of("engine", {}), [])
