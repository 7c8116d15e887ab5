"""What is read and written beside the engines, and what is shown."""
import io
import itertools
import json
import os
import re
import socket
import sys
import tempfile
import threading
import unittest
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import install
from sdtrt import a1111, index, place, plain, shapes
from sdtrt.calls import Call
from sdtrt.daemon import NoAnswer, Refused, ask, connect
from sdtrt.overview import Overview

from . import samples

ROOT = Path(__file__).parents[2]


class Files(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_the_index_is_read_again_when_it_changes(self):
        path = self.folder / "index.json"
        file = index.IndexFile(path)
        file.refresh()
        self.assertIn("is sdtrtd running?", file.problem)
        path.write_text(samples.text())
        file.refresh()
        self.assertIsNone(file.problem)
        read = file.index
        file.refresh()
        self.assertIs(file.index, read)
        aside = self.folder / "aside"
        engines = [samples.baked(more="unknown")], [samples.engine("shared", speeds=[samples.speed(8.25)])]
        aside.write_text(samples.text(samples.checkpoint("a", [], engines[0]), shared=engines[1]))
        aside.rename(path)
        file.refresh()
        checkpoint = file.index.checkpoints[0]
        self.assertEqual(checkpoint.engines[0].profiles[1].sizes["width"].most, 2048)
        self.assertEqual([engine.id for engine in file.index.engines(checkpoint)], ["shared", "baked"])
        self.assertEqual(file.index.shared(samples.signature_of())[0].speeds[0].milliseconds, 8.25)
        self.assertEqual(file.index.shared("another"), ())
        path.write_text("{")
        file.refresh()
        self.assertEqual(len(file.index.checkpoints), 1, "the last good one stays")
        self.assertIn("damaged", file.problem)

    def test_what_the_daemon_writes_is_read(self):
        """The daemon's tests assert that it writes this very file."""
        golden = ROOT / "tests/pinned/index.json"
        read = index.parse(golden.read_text())
        signature = "03" * 32
        fixed, opened = read.shared(signature)
        checkpoint, bare = read.checkpoints
        own, = checkpoint.engines
        self.assertEqual(read.socket, "/run/sdtrtd.sock")
        self.assertEqual((checkpoint.id, checkpoint.unet, checkpoint.signature), ("01" * 32, "02" * 32, signature))
        self.assertEqual((checkpoint.architecture, bare.architecture), ("sd1", "sd1-inpaint"))
        self.assertEqual((checkpoint.locations, bare.locations), (("/m/a.safetensors", "/m/b.ckpt"), ()))
        self.assertEqual([engine.state for engine in (fixed, opened, own)], ["unproven", "ready", "failed"])
        self.assertEqual([engine.is_shared for engine in (fixed, opened, own)], [True, True, False])
        self.assertEqual([engine.is_fixed for engine in (fixed, opened, own)], [True, False, False])
        self.assertEqual((opened.plan, opened.manifest), (Path("/data/engines/a.engine"), Path("/data/engines/a.json")))
        self.assertEqual((opened.tensorrt, opened.precision), ("1.7.1.116", "fp16"))
        self.assertEqual(opened.compute_capabilities, ("8.9", "12.0"))
        self.assertEqual((fixed.relative_error, opened.relative_error), (None, 0.0102))
        profile, = opened.profiles
        sizes = {"width": (512, 512, 768), "height": (512, 768, 1024), "batch": (1, 2, 8), "tokens": (77, 77, 154)}
        ranges = {name: index.Range(*size) for name, size in sizes.items()}
        self.assertEqual(profile, index.Profile("default", ranges))
        self.assertEqual(opened.limits, (index.Limit("NVIDIA H200", 1_048_576),))
        self.assertEqual(opened.speeds[0], index.Speed("NVIDIA H200", 512, 768, 2, 154, 14.35))
        self.assertEqual([speed.gpu for speed in opened.speeds], ["NVIDIA H200", "NVIDIA L4"])

    def test_the_data_folder_is_the_recorded_one(self):
        note = self.folder / "sdtrt.json"
        home = {"HOME": "/home/me"}
        self.assertEqual(place.data_folder(note, home), Path("/home/me/.local/share/sdtrt"))
        self.assertEqual(place.data_folder(note, {"XDG_DATA_HOME": "/x"}), Path("/x/sdtrt"))
        note.write_text('{"data_dir": "/srv/sdtrt"}')
        self.assertEqual(place.data_folder(note, home), Path("/srv/sdtrt"))

    def test_both_bindings_have_one_version(self):
        pinned = install.pinned(install.REQUIREMENTS.read_text())
        self.assertEqual([name for name, _ in pinned], ["tensorrt-rtx-cu12-bindings", "tensorrt-rtx-cu12-libs"])
        self.assertEqual(len({version for _, version in pinned}), 1)

    def daemon(self, heard, numbers):
        """Returns a function that starts a stand-in for the daemon with these replies, and returns its socket."""

        def answer(*replies):
            path = str(self.folder / f"socket{next(numbers)}")
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(path)
            listener.listen()

            def serve():
                with listener, listener.accept()[0] as connection:
                    lines = connection.makefile("r")
                    hello, *others = replies
                    connection.sendall(json.dumps(hello).encode() + b"\n")
                    heard.append(json.loads(lines.readline()))
                    # Empty after a disconnect.
                    heard.append(json.loads(lines.readline() or "null"))
                    for reply in others:
                        connection.sendall(json.dumps(reply).encode() + b"\n")

            threading.Thread(target=serve, daemon=True).start()
            return path

        return answer

    def test_shapes_are_sent_to_the_daemon_or_left_for_it(self):
        heard = []
        answer = self.daemon(heard, itertools.count())
        hello = {"protocol": 2, "version": "0.1.0"}
        seen = shapes.Shapes()
        for call in (Call(512, 512, 2, 77), Call(768, 512, 2, 77), Call(512, 512, 2, 154)):
            seen.note("signature", call)
        first, second = {"width": 768, "height": 512, "batch": 2}, {"width": 512, "height": 512, "batch": 2}
        noted = seen.take()
        self.assertEqual((noted, seen.take()), ({"signature": [first, second]}, {}))
        teller = shapes.Teller(self.folder / "shapes")
        left = lambda: [json.loads(path.read_text()) for path in self.folder.glob("shapes/signature-*.json")]
        teller.tell_now(answer(hello, {"reply": "done", "value": None}), noted)
        self.assertEqual(heard[1], {"request": "shapes", "signature": "signature", "shapes": [first, second]})
        refusal = {"reply": "failed", "value": {"kind": "other", "message": "none of yours"}}
        teller.tell_now(answer(hello, refusal), noted)
        self.assertEqual(left(), [], "it has received them")
        teller.tell_now(self.folder / "nobody", noted)
        teller.tell_now(None, {"signature": [first]})
        self.assertEqual(left(), [{"version": 1, "signature": "signature", "shapes": [second, first]}])
        self.assertEqual(len(list(self.folder.glob("shapes/*"))), 1, "one file however often, and nothing aside")

    def test_the_daemon_is_asked_in_its_protocol(self):
        heard, numbers = [], itertools.count()

        answer = self.daemon(heard, numbers)
        hello = {"protocol": 2, "version": "0.1.0"}
        path = answer(hello, {"reply": "removed", "value": "key"})
        self.assertEqual(ask(path, "remove", engine="k"), "key")
        self.assertEqual(heard[0]["protocol"], 2)
        self.assertEqual(heard[1], {"request": "remove", "engine": "k"})
        failure = {"reply": "failed", "value": {"kind": "other", "message": "no room"}}
        for kind, said, replies in (
            (Refused, "no room", [hello, failure]),
            (NoAnswer, "uses protocol 3", [{"protocol": 3, "version": "9"}]),
            (NoAnswer, "closed the connection", [hello]),
        ):
            with self.assertRaisesRegex(kind, said):
                ask(answer(*replies), "status")
        with self.assertRaisesRegex(NoAnswer, "no sdtrtd is listening"):
            ask(self.folder / "nobody", "status")

    def test_what_the_daemon_shows_is_kept_up_by_its_events(self):
        """With the events that the daemon writes."""
        lines = (ROOT / "crates/protocol/tests/wire/events.jsonl").read_text().splitlines()
        golden = [json.loads(line) for line in lines]
        state = golden[0]["value"]
        idle = {"paused": False, "gate": None, "queue": [], "building": [], "counts": {}, "gpus": [], "models_dirs": [],
                "runtime": None, "runtime_problem": "not found"}
        overview = Overview()
        overview.apply("state", {"status": state["status"] | idle, "checkpoints": []})
        for event in golden[1:]:
            overview.apply(event["event"], event["value"])
        # The last gate event clears the gate, and the checkpoint in the last one is gone.
        self.assertEqual(overview.status, state["status"] | {"gate": None, "paused": True, "runtime_problem": None})
        self.assertEqual(overview.entries, {})
        overview.apply("checkpoint", state["checkpoints"][0])
        overview.apply("of a newer daemon", 1)
        self.assertEqual(list(overview.entries.values()), state["checkpoints"])

    def test_what_is_not_seen_is_written_out(self):
        self.assertEqual(plain.visible("plain ü 模型.ckpt"), "plain ü 模型.ckpt")
        for hidden in "\u061c\u200b\ufeff\u202e\u2066\x1b\x9b\u00ad\u2060\U000e0000\U000e0041\u3164\ue000\n":
            self.assertEqual(plain.visible(f"a{hidden}b"), f"a\\u{{{ord(hidden):x}}}b")

    def test_in_a_container_the_data_folder_may_be_elsewhere(self):
        engines = [samples.baked(), samples.engine("shared")]
        text = samples.text(samples.checkpoint("a", ["/m/a.ckpt"], engines[:1]), shared=engines[1:])
        text = re.sub(r"(\"(?:plan|manifest)\": \")", r"\1/nonexistent/", text)
        (self.folder / "index.json").write_text(text)
        file = index.IndexFile(self.folder / "index.json")
        file.refresh()
        before = {engine.plan.parent for engine in file.index.engines(file.index.checkpoints[0])}
        (self.folder / "engines").mkdir()
        moved = index.beside(file.index, self.folder)
        for engine in moved.engines(moved.checkpoints[0]):
            self.assertEqual({engine.plan.parent, engine.manifest.parent}, {self.folder / "engines"})
        self.assertNotEqual(before, {self.folder / "engines"})
        pointer = self.folder / "sdtrt.json"
        pointer.write_text(json.dumps({"data_dir": "/nonexistent/sdtrt"}))
        home = {"HOME": str(self.folder)}
        self.assertEqual(place.data_folder(pointer, home), Path("/nonexistent/sdtrt"), "nothing else is there")
        (self.folder / ".local/share/sdtrt").mkdir(parents=True)
        self.assertEqual(place.data_folder(pointer, home), self.folder / ".local/share/sdtrt")
        self.assertEqual(place.data_folder(pointer, home | {"SDTRT_DATA_DIR": str(self.folder)}), self.folder)

    def test_a_socket_with_a_long_path_is_met(self):
        long = self.folder / ("long/" * 40)
        long.mkdir(parents=True)
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(server.close)
        server.bind(str(self.folder / "s"))
        (self.folder / "s").rename(long / "s")
        server.listen()
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(client.close)
        connect(client, str(long / "s"))

    def test_the_installation_runs_no_module_of_the_current_folder(self):
        (self.folder / "pip.py").write_text(f"open({str(self.folder / 'ran')!r}, 'w')")
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        os.chdir(self.folder)
        requirements = self.folder / "requirements.txt"
        requirements.write_text("no-such-package==0\n")
        with mock.patch.object(install, "REQUIREMENTS", requirements), redirect_stdout(io.StringIO()), \
                mock.patch.object(install, "unreachable", lambda: None):
            install.main()
        self.assertFalse((self.folder / "ran").exists())

    def test_the_console_shows_what_is_said(self):
        with redirect_stdout(io.StringIO()) as shown, mock.patch.dict(sys.modules, {"tqdm": None}):
            a1111.say("engine 0123 is 8e-03 off PyTorch, and used: 100 %s")
        self.assertEqual(shown.getvalue(), "sdtrt: engine 0123 is 8e-03 off PyTorch, and used: 100 %s\n")

    def test_lines_go_past_the_progress_bar(self):
        wrote = mock.Mock()
        tqdm = SimpleNamespace(tqdm=SimpleNamespace(write=wrote))
        with redirect_stdout(io.StringIO()) as shown, mock.patch.dict(sys.modules, {"tqdm": tqdm}):
            a1111.say("PyTorch computes it")
        wrote.assert_called_once_with("sdtrt: PyTorch computes it", file=shown)
        self.assertEqual(shown.getvalue(), "")
