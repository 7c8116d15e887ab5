"""What the tab shows of the daemon, and what it may be asked."""
import json
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from sdtrt import console, index
from sdtrt.calls import Call
from sdtrt.daemon import Refused
from sdtrt.tab import clicks, covering, glance, guard, last, pictures, rows
from sdtrt.tab.board import Board

from . import samples

WIRE = Path(__file__).parent.parent.parent / "crates/protocol/tests/wire"
GOLDEN = [json.loads(line) for line in (WIRE / "events.jsonl").read_text().splitlines()]
STATE = GOLDEN[0]["value"]
QUEUED = {"presets": ["default"], "fixed": None, "state": "queued", "reason": None}
FIXED = {"presets": [], "fixed": {"width": 512, "height": 768, "batch": 2}, "state": "queued", "reason": None}


def entry(state="ready", reason=None, coming=(), **more):
    """An entry of the daemon's list."""
    return STATE["checkpoints"][0] | {"state": state, "reason": reason, "coming": list(coming)} | more


def engine(key="e", **more):
    return STATE["checkpoints"][0]["engines"][0] | {"key": key} | more


class Rows(unittest.TestCase):
    def test_names_from_elsewhere_are_shown_as_they_are(self):
        shown = rows.row(entry("rejected", "<b>no</b>", locations=["/m/<script>\u202e.ckpt"], title=None))
        self.assertEqual(shown["title"], "<script>\\u{202e}")
        self.assertEqual(shown["reason"], "<b>no</b>")
        self.assertEqual(rows.row(entry(title="A \u200bmodel"))["title"], "A \\u{200b}model")
        self.assertEqual(rows.row(entry(locations=[]))["file"], "no file")

    def test_places_are_those_in_the_models_folders(self):
        shown = rows.row(entry(locations=["/m/sub/a.ckpt", "/elsewhere/b.ckpt"]), ["/m", "/m/sub/deeper", "/el"])
        self.assertEqual(shown["folders"], ["sub/a.ckpt", "/elsewhere/b.ckpt"])
        self.assertEqual(shown["places"], ["/m/sub/a.ckpt", "/elsewhere/b.ckpt"])

    def test_nobody_is_told_to_type_what_a_button_does(self):
        off = "its engine was removed; `sdtrtctl build 624672` builds it again"
        shown = rows.coming(QUEUED | {"state": "off", "reason": off})
        self.assertEqual(shown["reason"], "its engine was removed; 'Build now' builds it again")

    def test_a_size_at_which_an_engine_fails_is_the_checkpoints_own(self):
        failed = lambda *sizes: [{"gpu": "L4", "width": width, "height": 1080} for width in sizes]
        shown = rows.row(entry(engines=[engine("a", unusable=failed(2048, 1920)), engine("b", unusable=[])]))
        self.assertEqual(shown["beyond"], {"a": "not used from 1920 × 1080 on: NaN or infinity on L4"})

    def test_sizes_for_people(self):
        shared = [samples.engine("open"), samples.engine("one", profiles=[samples.fixed()])]
        found = index.parse(samples.text(samples.checkpoint("a", ["/m/a.ckpt"]), shared=shared))
        profiles = rows.profiles(found)
        sizes = lambda key: rows.engine(engine(key), profiles.get(key, ()))["sizes"]
        self.assertEqual(sizes("open"), ["default: 512–768 pixels, up to 4 at once, 150 tokens"])
        self.assertEqual(sizes("one"), ["512x512: 512 × 512 pixels, up to 1 at once, 150 tokens"])
        self.assertEqual(sizes("unknown"), ["512x768 batch 2"])

    def test_the_latest_speed_of_each_size_counts(self):
        timing = lambda width, engine: {"width": width, "height": 512, "batch": 2, "engine_milliseconds": engine,
                                        "torch_milliseconds": 18.0, "front_end": "AUTOMATIC1111, sdp"}
        speed = lambda width, milliseconds: {"width": width, "height": 512, "batch": 2, "milliseconds": milliseconds}
        # Validations come newest first, timings last.
        shown = rows.engine(engine(
            timings=[timing(512, 20.0), timing(512, 9.0)],
            validations=[{"speeds": [speed(768, 7.0)]}, {"speeds": [speed(768, 8.0), speed(512, 1.0)]}],
        ))
        found = {speed["width"]: (speed["engine"], speed["torch"]) for speed in shown["speeds"]}
        self.assertEqual(found, {512: (9.0, 18.0), 768: (7.0, None)})

    def test_each_front_end_shows_its_own_times(self):
        sized = {"width": 512, "height": 512, "batch": 2, "engine_milliseconds": 8.9}
        measured = [{**sized, "front_end": f"{name}, sdp", "torch_milliseconds": torch}
                    for name, torch in (("AUTOMATIC1111", 24.0), ("Forge", 32.3), ("ComfyUI", 77.5))]
        for name, torch in ("AUTOMATIC1111", 24.0), ("Forge", 32.3), ("another", 77.5):
            found = rows.speeds(engine(timings=measured, validations=[]), name)
            self.assertEqual([each["torch"] for each in found], [torch], name)


class Glance(unittest.TestCase):
    def look(self, **changes):
        return glance.glance(STATE["status"] | changes, {entry()["weights_id"]: entry()})

    def test_every_job_has_a_text(self):
        tasks = {job["task"] for job in self.look()["jobs"]}
        self.assertEqual(tasks, {"building", "validating", "writing a copy with weights of"})

    def test_time_left_is_as_sdtrtctl_has_it(self):
        job = STATE["status"]["building"][0]
        for task, phase, percent, elapsed, left in (
            ("validate", "prove", 0, 21, 21), ("validate", "write", 0, 21, None), ("build", "graph", 50, 1, None),
            ("build", "build", 50, 52, 48), ("build", "publish", 100, 60, 0), ("build", "dance", 50, 91, None),
        ):
            now = job | {"task": task, "phase": phase, "percent": percent, "elapsed_s": elapsed}
            shown, = self.look(building=[now])["jobs"]
            self.assertEqual(shown["left"], left, now)

    def test_until_when_it_is_paused(self):
        self.assertEqual(self.look(paused=True, paused_until=1_800_000_000)["pausedUntil"], 1_800_000_000)
        endless = self.look(paused=True, paused_until=None)
        self.assertIsNone(endless["pausedUntil"], "an older daemon, or until it is resumed")
        self.assertIsNone(self.look(paused=False, paused_until=1)["pausedUntil"])

    def test_a_long_queue_is_cut(self):
        shown = self.look(queue=STATE["status"]["queue"] * 1000)
        self.assertEqual((len(shown["queue"]), shown["queued"]), (glance.SHOWN, 1000))

    def test_all_that_is_wrong_is_told(self):
        self.assertEqual(self.look()["problems"], [
            "it was moved", "GPU 1 can't be used", "/data is read-only", "/away: it is not there",
        ])


class Boards(unittest.TestCase):
    def setUp(self):
        self.board = Board()
        self.board.apply("state", STATE)

    def test_only_what_has_changed_is_told(self):
        board = self.board
        whole = board.since(0)
        self.assertTrue(whole["whole"])
        self.assertEqual([len(whole[name]) for name in ("rows", "engines")], [1, 1])
        seen = board.version
        board.apply("checkpoint", STATE["checkpoints"][0])
        board.apply("of a newer daemon", 1)
        self.assertEqual((board.since(seen), board.version), ({}, seen), "nothing has")
        board.apply("gate", "the GPU is used")
        told = board.since(seen)
        self.assertEqual((list(told), told["status"]["gate"]), (["status"], "the GPU is used"))
        board.apply("gone", STATE["checkpoints"][0]["weights_id"])
        self.assertEqual(board.since(seen)["gone"], [STATE["checkpoints"][0]["weights_id"]])
        self.assertNotIn("gone", board.since(0))

    def test_what_one_checkpoint_says_of_a_shared_engine_is_told_once(self):
        seen = self.board.version
        other = entry(weights_id="1" * 64, engines=[engine(STATE["checkpoints"][0]["engines"][0]["key"], proof=None)])
        self.board.apply("checkpoint", other)
        told = self.board.since(seen)
        self.assertEqual([row["key"] for row in told["rows"]], ["1" * 64])
        self.assertNotIn("engines", told)

    def test_a_pinned_engine_changes_no_row(self):
        seen = self.board.version
        now = entry(**{name: STATE["checkpoints"][0][name] for name in ("state", "reason", "coming")})
        self.board.apply("checkpoint", now | {"engines": [now["engines"][0] | {"pinned": False}]})
        self.assertEqual([name for name in self.board.since(seen) if name != "status"], ["engines"])

    def test_an_index_that_comes_later_has_the_sizes(self):
        seen = self.board.version
        found = index.parse(samples.text(shared=[samples.engine(STATE["checkpoints"][0]["engines"][0]["key"])]))
        self.board.know(rows.profiles(found))
        told, = self.board.since(seen)["engines"]
        self.assertIn("512–768 pixels", told["sizes"][0])

    def test_a_daemon_that_starts_again_knows_others(self):
        seen = self.board.version
        self.board.apply("state", STATE | {"checkpoints": [entry(weights_id="1" * 64)]})
        told = self.board.since(seen)
        self.assertEqual(([row["key"] for row in told["rows"]], len(told["gone"])), (["1" * 64], 1))


class Clicks(unittest.TestCase):
    def ask(self, reply, message, entries=(), **desk):
        """Returns what a page is told, and what the daemon was asked."""
        catalogue = SimpleNamespace(checkpoint=lambda path: desk.get("checkpoint"))
        feed = SimpleNamespace(
            listens_on=lambda: "/socket", folders=lambda: ["/m"], entries=lambda: dict(entries),
            named=lambda entry: entry | {"title": "Photo, v6"},
            desk=SimpleNamespace(catalogue=catalogue, loaded_path=lambda: "/m/a.ckpt", last=desk.get("last")),
        )
        with mock.patch.object(clicks, "ask", side_effect=[reply] if reply is not None else []) as asked:
            told = clicks.answer(feed, message)
        return told, [(*call.args, call.kwargs) for call in asked.call_args_list]

    def test_what_becomes_of_a_request_is_what_the_daemon_says(self):
        engines = lambda count: [engine(str(number)) for number in range(count)]
        for shown, said in (
            (entry("ready", engines=engines(6)), "Nothing to build: it has all of its 6 engines. Remove one"),
            (entry("ready", "no GPU to validate on"), "all of its 1 engines: no GPU to validate on."),
            (entry("queued", coming=[QUEUED]), "default is built next."),
            (entry("queued", coming=[QUEUED | {"reason": "paused"}]), "default is built next: paused."),
            (entry("building", coming=[QUEUED | {"state": "building"}, FIXED, FIXED]),
             "default is being built. 2 more are to come."),
            (entry("ready", coming=[FIXED]), "512x768 batch 2 is built next."),
            (entry("failed", coming=[QUEUED | {"state": "failed", "reason": "the disk is full"}]),
             "default is failed: the disk is full."),
            (entry("rejected", "not a checkpoint"), "Its file is read again; it is rejected: not a checkpoint."),
            (entry("off", "no preset is for it"), "It is off: no preset is for it."),
        ):
            told, asked = self.ask(shown, {"request": "build", "reference": "a"})
            self.assertIn(said, told["said"])
            self.assertEqual(told["rows"][0]["state"], shown["state"], "shown at once")
            self.assertEqual(told["rows"][0]["title"], "Photo, v6", "which the daemon's answer has not")
            self.assertEqual(asked, [("/socket", "build", {"reference": "a", "now": True})])

    def test_each_click_is_sent_as_the_daemon_takes_it(self):
        for message, reply, said in (
            ({"request": "validate", "reference": "a"}, entry(), "Its 1 engines are validated again"),
            ({"request": "pin", "reference": "a"}, [engine()], "1 engine is never deleted"),
            ({"request": "unpin", "reference": "a"}, [engine(), engine()], "2 engines are deleted"),
            ({"request": "remove", "engine": "e"}, "e", "Removed."),
            ({"request": "pause", "seconds": 3600}, {}, "Paused."),
            ({"request": "pause"}, {}, "Paused."),
            ({"request": "resume"}, {}, "Resumed."),
        ):
            told, asked = self.ask(reply, message)
            self.assertIn(said, told["said"])
            arguments = {name: value for name, value in message.items() if name != "request"}
            self.assertEqual(asked, [("/socket", message["request"], arguments)])
        told, _ = self.ask([engine("e", pinned=True)], {"request": "pin", "reference": "a"})
        self.assertEqual(told["pinned"], {"e": True})

    def test_nothing_else_is_sent(self):
        for message in (
            None, [], {}, {"request": "materialize", "reference": "a", "output": "/etc/x"}, {"request": "reload"},
            {"request": "build"}, {"request": "build", "reference": 1}, {"request": ["build"]},
            {"request": "build", "reference": "a", "more": 1}, {"request": "pause", "seconds": True},
            {"request": "set_preset", "preset": {}, "dry_run": 1},
        ):
            told, asked = self.ask(None, message)
            self.assertEqual((list(told), asked), (["problem"], []), message)

    def test_a_refusal_is_told(self):
        told, _ = self.ask(Refused("the disk\u202e is full"), {"request": "resume"})
        self.assertEqual(told, {"problem": "the disk\\u{202e} is full"})
        told, _ = self.ask(Refused("unknown variant `presets`, expected `status`"), {"request": "presets"})
        self.assertIn("is older than this extension", told["problem"])
        told, _ = self.ask({"another": "version"}, {"request": "build", "reference": "a"})
        self.assertIn("does not understand", told["problem"])

    def test_a_preset_is_checked_with_what_it_covers(self):
        preset = {"name": "mine", "width": {"min": 512, "max": 768}, "height": {"min": 512, "max": 768}}
        change = {"presets": [], "engines": 2, "bytes": 1, "seconds": 3}
        message = {"request": "set_preset", "preset": preset | {"family": "sd"}, "dry_run": True}
        told, asked = self.ask(change, message)
        self.assertEqual(told["value"], change)
        self.assertEqual(asked, [("/socket", "set_preset", {"preset": preset, "dry_run": True})])
        covers = {(each["width"], each["height"]): (each["base"], *each["hires"]) for each in told["covers"]}
        self.assertEqual(covers[512, 512], (True, True, False))
        self.assertEqual(covers[1024, 1024], (False, False, False))
        large = {"min": 768, "max": 2048}
        sdxl = covering.covers({"family": "sdxl", "width": large, "height": large})
        self.assertTrue(all(each["base"] and each["hires"][0] for each in sdxl))
        strange = covering.covers({"family": ["sd"], "width": 1, "height": {"min": "512"}})
        self.assertFalse(any(each["base"] for each in strange))

    def test_what_mends_the_last_picture(self):
        job = SimpleNamespace(lacks_control=lambda: True, calls=lambda: [Call(2304, 1280, 2, 154)])
        checkpoint = SimpleNamespace(architecture="sd1", is_called=lambda key: key == "9" * 64)
        served = {"width": 2304, "height": 1280, "engine": None, "preset": None, "fixed": False, "problem": "too wide",
                  "milliseconds": None, "torch_milliseconds": None}
        told, asked = self.ask(
            [{"passes": [served]}], {"request": "why"}, {"9" * 64: entry()}.items(), checkpoint=checkpoint, last=job
        )
        control, size = told["value"]
        self.assertEqual(control["preset"], {"controlnet": True})
        image = {"width": 2304, "height": 1280, "batch": 1, "tokens": 150}
        self.assertEqual(size["preset"], image)
        self.assertEqual(asked, [("/socket", "check", {"reference": "9" * 64, "image": image | {"hires": None}})])


class Last(unittest.TestCase):
    def setUp(self):
        self.job = last.LastJob()
        self.addCleanup(console.log().removeHandler, self.job)
        silent = mock.patch.object(console.Console, "emit", lambda *record: None)
        silent.start()
        self.addCleanup(silent.stop)

    def say(self, *lines):
        for line in lines:
            console.log().info("%s", line)

    def test_it_has_the_lines_of_one_job(self):
        self.assertIsNone(self.job.told())
        self.say("before")
        self.job.begin()
        self.say("engine 01a2 at 512×512, 76 it/s", f"{Call(1024, 1024, 2, 77)}: it is not used; PyTorch computes it")
        told = self.job.told()
        self.assertEqual([line["pytorch"] for line in told["lines"]], [False, True])
        self.assertEqual(self.job.calls(), [Call(1024, 1024, 2, 77)])
        self.job.begin()
        self.assertEqual((self.job.told()["lines"], self.job.calls()), ([], []))
        self.assertNotEqual(self.job.told(), told, "a page is told of a job that is like the last")

    def test_what_holds_for_all_jobs_is_said_once_and_shown_for_each(self):
        shown = lambda: [line["text"] for line in self.job.told()["lines"]]
        self.say("the web UI computes on the CPU; PyTorch computes")
        self.job.begin()
        self.job.begin()
        self.assertEqual(shown(), ["the web UI computes on the CPU; PyTorch computes"])
        self.say("engine 01a2 at 512×512")
        self.job.begin()
        self.assertEqual(shown(), [])

    def test_calls_are_asked_for_in_the_users_terms(self):
        image = last.image(Call(512, 768, 6, 154), "sd1")
        self.assertEqual((image["batch"], image["tokens"]), (3, 150))
        self.assertEqual(last.image(Call(512, 768, 6, 77), "instruct-pix2pix")["batch"], 2)

    def test_each_reason_has_what_mends_it(self):
        asked = {"width": 512, "height": 768, "batch": 1, "tokens": 75}
        served = {"width": 512, "height": 768, "engine": None, "preset": None, "fixed": False, "problem": None,
                  "milliseconds": None, "torch_milliseconds": None}
        mend = lambda found=None, **changes: last.mend(served | changes, asked, found or entry())
        build = {"request": "build", "reference": entry()["weights_id"], "now": True}
        self.assertEqual(mend(preset="default")["request"], build)
        self.assertEqual(mend(fixed=True)["request"], build)
        self.assertEqual(mend(entry(engines=[]))["request"], build)
        self.assertEqual(mend(problem="too wide")["preset"], asked)
        self.assertNotIn("label", mend(engine="e"))
        self.assertIn("PyTorch is faster", mend(engine="e", milliseconds=9.0, torch_milliseconds=8.0)["text"])


class Guard(unittest.TestCase):
    def test_only_our_own_page_may_ask(self):
        ours = {"x-sdtrt": "1", "host": "127.0.0.1:7860"}
        for headers, is_own in (
            ({}, True),
            ({"sec-fetch-site": "same-origin", "origin": "https://behind.a.proxy"}, True),
            ({"origin": "http://127.0.0.1:7860"}, True),
            ({"sec-fetch-site": "same-site"}, False),
            ({"sec-fetch-site": "cross-site"}, False),
            ({"sec-fetch-site": "none"}, False),
            ({"origin": "http://evil.example"}, False),
            ({"origin": "http://evil.example", "x-forwarded-host": "evil.example"}, False),
            ({"origin": "null"}, False),
        ):
            self.assertEqual(guard.is_own(ours | headers), is_own, headers)
        self.assertFalse(guard.is_own({"host": "127.0.0.1:7860"}), "any page can send it without being asked")

    def test_only_pictures_that_the_daemon_names_are_shown(self):
        with tempfile.TemporaryDirectory() as folder:
            paths = [str(Path(folder, name)) for name in ("a.preview.png", "a.SVG", "a.safetensors", "A.JPG")]
            for path in paths:
                Path(path).touch()
            shown = [pictures.of(entry(picture=path)) for path in paths]
            self.assertEqual(shown, [(paths[0], "image/png"), None, None, (paths[3], "image/jpeg")])
            self.assertIsNone(pictures.of(entry(picture=f"{folder}/gone.png")))
        for nothing in (None, entry(), entry(picture=None), entry(picture=["/etc/passwd.png"])):
            self.assertIsNone(pictures.of(nothing))


