"""What is read and written beside the engines, and what is shown of it."""
import itertools
import json
import math
import socket
import tempfile
import threading
import unittest
from pathlib import Path

import install
from sdtrt import index, place, proofs, view
from sdtrt.daemon import NoAnswer, ask

from . import samples


class Files(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_the_index_is_read_again_when_it_is_another(self):
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
        aside.write_text(samples.text(samples.checkpoint("a", [], [samples.engine(more="unknown")])))
        aside.rename(path)
        file.refresh()
        self.assertEqual(file.index.checkpoints[0].engines[0].profiles[1].width.most, 2048)
        path.write_text("{")
        file.refresh()
        self.assertEqual(len(file.index.checkpoints), 1, "the last good one stays")
        self.assertIn("damaged", file.problem)

    def test_what_an_engine_computed_is_remembered(self):
        for error, holds in ((0.019, True), (0.021, False), (math.nan, False), (math.inf, False)):
            self.assertEqual(proofs.holds(error), holds)
            seen = proofs.Proofs(self.folder / "proofs")
            seen.record("engine", "unet", error, {"gpu": "one"})
            tree = json.loads(seen.path("engine", "unet").read_text())
            self.assertEqual((tree["engine"], tree["unet"], tree["gpu"]), ("engine", "unet", "one"))
            again = proofs.Proofs(self.folder / "proofs")
            self.assertEqual(proofs.holds(again.error("engine", "unet")), holds)
            self.assertIsNone(again.error("engine", "other"))
            self.assertEqual(len(list(self.folder.glob("proofs/*"))), 1, "nothing is left aside")

    def test_the_data_folder_is_the_one_that_was_noted(self):
        note = self.folder / "sdtrt.json"
        home = {"HOME": "/home/me"}
        self.assertEqual(place.data_folder(note, home), Path("/home/me/.local/share/sdtrt"))
        self.assertEqual(place.data_folder(note, {"XDG_DATA_HOME": "/x"}), Path("/x/sdtrt"))
        note.write_text('{"data_dir": "/srv/sdtrt"}')
        self.assertEqual(place.data_folder(note, home), Path("/srv/sdtrt"))

    def test_the_bindings_are_of_one_version(self):
        pinned = install.pinned(install.REQUIREMENTS.read_text())
        self.assertEqual([name for name, _ in pinned], ["tensorrt-rtx-cu12-bindings", "tensorrt-rtx-cu12-libs"])
        self.assertEqual(len({version for _, version in pinned}), 1)

    def test_the_daemon_is_asked_in_its_protocol(self):
        heard, numbers = [], itertools.count()

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
                    # Empty from one who has hung up.
                    heard.append(json.loads(lines.readline() or "null"))
                    for reply in others:
                        connection.sendall(json.dumps(reply).encode() + b"\n")

            threading.Thread(target=serve, daemon=True).start()
            return path

        hello = {"protocol": 1, "version": "0.1.0"}
        path = answer(hello, {"reply": "removed", "value": "key"})
        self.assertEqual(ask(path, "remove", engine="k"), "key")
        self.assertEqual(heard[0]["protocol"], 1)
        self.assertEqual(heard[1], {"request": "remove", "engine": "k"})
        failure = {"reply": "failed", "value": {"kind": "other", "message": "no room"}}
        for said, replies in (
            ("no room", [hello, failure]),
            ("speaks protocol 2", [{"protocol": 2, "version": "9"}]),
            ("hung up", [hello]),
        ):
            with self.assertRaisesRegex(NoAnswer, said):
                ask(answer(*replies), "status")
        with self.assertRaisesRegex(NoAnswer, "no sdtrtd answers"):
            ask(self.folder / "nobody", "status")

    def test_sizes_for_people(self):
        parsed = samples.parsed(samples.checkpoint("a", ["/m/a.ckpt"], [samples.engine()]))
        shown = {
            "weights_id": "a" * 64, "state": "ready", "reason": None, "locations": ["/m/a.ckpt"],
            "engines": [{"key": "engine", "bytes": 1_750_000_000, "state": "ready", "presets": ["default"],
                         "outdated": None, "pinned": True}],
        }
        told = view.checkpoint(shown, parsed.checkpoints[0])
        self.assertIn("default: 512–768 pixels, up to 4 at once, 150 tokens", told)
        self.assertIn("1.75 GB | ready; pinned", told)
        self.assertIn("no engine yet", view.checkpoint(shown | {"engines": []}, None))
