"""The stream of the tab, which must not keep the web UI from closing, and its routes."""
import asyncio
import importlib.util
import json
import socket
import tempfile
import threading
import unittest
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from sdtrt.tab import feed, stream
from sdtrt.tab.feed import Feed

from .test_tab import STATE

HELLO = {"protocol": 2, "version": "0.1.0"}
# Seconds; far longer than anything here takes.
PATIENCE = 30


class Daemon:
    """A stand-in, which sends to all who watch."""

    def __init__(self, path):
        self.path = str(path)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.watchers, self.changed = [], threading.Condition()
        self.state, self.names, self.asked = STATE, [], threading.Event()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            lines = connection.makefile("r")
            connection.sendall(json.dumps(HELLO).encode() + b"\n")
            lines.readline()
            asked = lines.readline()
            if asked == '{"request": "names"}\n':
                reply = {"reply": "names", "value": self.names}
                connection.sendall(json.dumps(reply).encode() + b"\n")
                self.asked.set()
            if asked != '{"request": "watch"}\n':
                # It has gone already, or has its answer.
                connection.close()
                continue
            with self.changed:
                self.watchers.append(connection)
                self.changed.notify_all()
            threading.Thread(target=self.follow, args=(connection, lines), daemon=True).start()
            self.tell("state", self.state)

    def follow(self, connection, lines):
        with suppress(OSError, ValueError):
            lines.readline()
        with self.changed:
            self.watchers.remove(connection)
            self.changed.notify_all()

    def tell(self, event, value):
        for watcher in list(self.watchers):
            # Whoever goes away meanwhile hears nothing.
            with suppress(OSError):
                watcher.sendall(json.dumps({"event": event, "value": value}).encode() + b"\n")

    def wait_for(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.watchers) == count, PATIENCE), self.watchers

    def end(self):
        self.listener.close()
        for watcher in list(self.watchers):
            with suppress(OSError):
                watcher.shutdown(socket.SHUT_RDWR)


class Streams(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.daemon = Daemon(Path(folder.name, "socket"))
        self.addCleanup(self.daemon.end)
        index = SimpleNamespace(socket=self.daemon.path, signatures={}, checkpoints=())
        self.desk = SimpleNamespace(
            catalogue=SimpleNamespace(index=index, checkpoint=lambda path: None), loaded_path=lambda: None,
            front_end="AUTOMATIC1111",
            index_file=SimpleNamespace(refresh=lambda: None), last=SimpleNamespace(told=lambda: None),
        )
        self.feed = Feed(self.desk)
        self.server = SimpleNamespace(should_exit=False)

    def read(self, *until):
        """Reads a stream, and calls each of these once what it waits for was told; returns all that was told."""
        return asyncio.run(asyncio.wait_for(self._read(list(until)), PATIENCE))

    async def _read(self, until):
        told = {}
        async for line in stream.lines(self.feed, stream.ending(self.server), tick=0.001):
            told |= json.loads(line)
            while until and until[0][0](told):
                until.pop(0)[1]()
        return told

    def stop(self):
        self.server.should_exit = True

    def test_it_has_everything_and_then_what_changes_until_the_server_stops(self):
        told = self.read(
            (lambda told: "status" in told, lambda: self.daemon.tell("gate", "the GPU is used")),
            (lambda told: told["status"]["gate"] == "the GPU is used", self.stop),
        )
        self.assertEqual([row["state"] for row in told["rows"]], ["queued"])
        self.assertTrue(told["bye"], "the page is told, and does not ask again")

    def test_titles_and_pictures_come_with_their_checkpoints(self):
        place = STATE["checkpoints"][0]["locations"][0]
        self.daemon.names = [{"location": place, "title": "Photo, v6", "picture": "/m/photo.png", "crc32": None}]
        told = self.read((lambda told: told.get("rows", [{}])[0].get("title") == "Photo, v6", self.stop))
        self.assertTrue(told["rows"][0]["picture"])
        self.assertEqual(told["rows"][0]["places"][0], place)

    def test_a_title_that_is_learned_later_comes_by_itself(self):
        place = STATE["checkpoints"][0]["locations"][0]
        name = lambda title, crc32: {"location": place, "title": title, "picture": None, "crc32": crc32}
        self.daemon.names = [name(None, None)]
        with mock.patch.object(feed, "LOOK_S", 0.01), mock.patch.object(feed, "NAMES_S", 0.02):
            told = self.read(
                (lambda told: "status" in told, lambda: self.daemon.asked.wait(PATIENCE)),
                (lambda told: True, lambda: self.daemon.names.__setitem__(0, name("From its header", "0"))),
                (lambda told: told["rows"][0]["title"] == "From its header", self.stop),
            )
        self.assertEqual(told["rows"][0]["places"][0], place)

    def test_a_picture_that_is_put_beside_a_checkpoint_comes_by_itself(self):
        with tempfile.TemporaryDirectory() as folder:
            place = str(Path(folder, "photo.safetensors"))
            state = STATE | {"checkpoints": [STATE["checkpoints"][0] | {"locations": [place]}]}
            name = lambda picture: {"location": place, "title": None, "picture": picture, "crc32": "0"}
            self.daemon.state, self.daemon.names = state, [name(None)]

            def put():
                Path(folder, "photo.png").touch()
                self.daemon.names = [name(f"{folder}/photo.png")]

            with mock.patch.object(feed, "LOOK_S", 0.01), mock.patch.object(feed, "NAMES_S", 3600):
                told = self.read(
                    (lambda told: "status" in told, lambda: self.daemon.asked.wait(PATIENCE)),
                    (lambda told: True, put),
                    (lambda told: told["rows"][0]["picture"], self.stop),
                )
        self.assertEqual(told["rows"][0]["places"][0], place)

    def test_one_connection_serves_all_pages_and_ends_with_the_last(self):
        for _ in range(3):
            self.feed.join()
        self.daemon.wait_for(1)
        self.feed.leave()
        self.read((lambda told: "status" in told, self.stop))
        self.feed.leave()
        self.assertEqual(len(self.daemon.watchers), 1)
        self.feed.leave()
        self.daemon.wait_for(0)

    def test_a_page_that_is_closed_leaves(self):
        async def close():
            lines = stream.lines(self.feed, lambda: False, tick=0.001)
            await lines.__anext__()
            await lines.aclose()

        asyncio.run(close())
        self.daemon.wait_for(0)

    def test_a_daemon_that_ends_is_a_problem(self):
        told = self.read(
            (lambda told: "status" in told, self.daemon.end),
            (lambda told: told.get("problem"), self.stop),
        )
        self.assertIn("no sdtrtd is listening", told["problem"])

    def test_without_a_daemon_the_page_is_told(self):
        self.desk.catalogue.index.socket = None
        told = self.read((lambda told: told.get("problem"), self.stop))
        self.assertIn("has not run yet", told["problem"])

    def test_of_a_server_that_does_not_say_when_it_stops_it_ends_by_itself(self):
        now = [0.0]
        is_ending = stream.ending(None, lambda: now[0])
        self.assertFalse(is_ending())
        now[0] = stream.LAST_S
        self.assertTrue(is_ending())

    def test_the_web_uis_own_changes_are_told(self):
        checkpoint = SimpleNamespace(id="a", locations=("/m/a.ckpt",))
        self.desk.catalogue.checkpoint = lambda path: checkpoint
        told = self.read((lambda told: told.get("loaded"), self.stop))
        self.assertEqual(told["loaded"], ["a", "/m/a.ckpt"])


@unittest.skipIf(importlib.util.find_spec("gradio") is None, "needs gradio")
class Routes(unittest.TestCase):
    """Those of gradio's own server, with and without a login."""

    @classmethod
    def setUpClass(cls):
        import gradio
        from starlette.testclient import TestClient

        from sdtrt.tab import routes

        def serve(auth):
            with gradio.Blocks() as demo:
                gradio.HTML("")
            demo.auth, demo.auth_message = auth, None
            app = gradio.routes.App.create_app(demo)
            routes.add(cls.feed, demo, app)
            return TestClient(app)

        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.picture = Path(folder.name, "a.png")
        cls.picture.touch()
        entries = {"a": {"picture": str(cls.picture)}, "b": {"picture": __file__}}
        cls.feed = SimpleNamespace(entry=entries.get, listens_on=lambda: None)
        cls.open, cls.locked = serve(None), serve([("user", "password")])

    def test_only_who_may_see_the_page_may_ask(self):
        headers = {"X-Sdtrt": "1"}
        for client, expected in ((self.open, 200), (self.locked, 401)):
            said = client.post("/sdtrt/do", json={"request": "resume"}, headers=headers).status_code
            shown = client.get("/sdtrt/picture?of=a").status_code
            self.assertEqual((said, shown), (expected, expected))
        self.assertEqual(self.locked.get("/sdtrt/changes", headers=headers).status_code, 401)
        self.locked.post("/login", data={"username": "user", "password": "password"})
        # The cookie of a test's client is not sent over http if it is `secure`, but another is.
        said = self.locked.post("/sdtrt/do", json={"request": "resume"}, headers=headers)
        self.assertEqual(said.status_code, 200)

    def test_other_pages_may_not_ask(self):
        ours = {"X-Sdtrt": "1"}
        for headers in ({}, ours | {"Origin": "http://evil.example"}, ours | {"Sec-Fetch-Site": "cross-site"}):
            self.assertEqual(self.open.post("/sdtrt/do", json={"request": "resume"}, headers=headers).status_code, 403)
            if headers:
                self.assertEqual(self.open.get("/sdtrt/changes", headers=headers).status_code, 403)
        self.assertEqual(self.open.get("/sdtrt/changes").status_code, 403)
        shown = self.open.get("/sdtrt/picture?of=a", headers={"Sec-Fetch-Site": "cross-site"})
        self.assertEqual(shown.status_code, 403)

    def test_what_is_no_request_is_refused(self):
        ours = {"X-Sdtrt": "1"}
        self.assertEqual(self.open.post("/sdtrt/do", content="{", headers=ours).status_code, 403)
        self.assertEqual(self.open.post("/sdtrt/do", content=b" " * (1 << 16), headers=ours).status_code, 403)
        self.assertIn("problem", self.open.post("/sdtrt/do", json=[], headers=ours).json())

    def test_only_pictures_are_sent(self):
        reply = self.open.get("/sdtrt/picture?of=a")
        self.assertEqual((reply.status_code, reply.headers["content-type"]), (200, "image/png"))
        self.assertEqual(reply.headers["x-content-type-options"], "nosniff")
        for which in ("b", "c", str(self.picture), ""):
            self.assertEqual(self.open.get("/sdtrt/picture", params={"of": which}).status_code, 403)

    def test_no_event_of_the_tab_is_gradios(self):
        """An event that waits in gradio's queue when its page closes keeps the web UI from closing."""
        from sdtrt.a1111 import tab

        ((blocks, title, _),) = tab.page.on_ui_tabs()
        self.assertEqual(title, "TensorRT")
        # As gradio 4 tells a page, and 3.
        self.assertFalse(getattr(blocks, "dependencies", None) or blocks.get_config_file()["dependencies"])

    def test_without_a_page_there_is_no_route(self):
        from fastapi import FastAPI

        from sdtrt.tab import routes

        app = FastAPI()
        routes.add(self.feed, None, app)
        self.assertFalse([route for route in app.routes if "sdtrt" in route.path])
