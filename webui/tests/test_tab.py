"""The tab, which must not keep the web UI from closing, and what it says of requests."""
import importlib.util
import unittest

from sdtrt import view

QUEUED = {"presets": ["default"], "fixed": None, "state": "queued", "reason": None}
FIXED = {"presets": [], "fixed": {"width": 512, "height": 768, "batch": 2}, "state": "queued", "reason": None}


def entry(state, reason=None, engines=2, coming=()):
    return {"state": state, "reason": reason, "engines": [{}] * engines, "coming": list(coming)}


class Requested(unittest.TestCase):
    def test_what_becomes_of_a_request_is_what_the_daemon_says(self):
        for shown, said in (
            (entry("ready", engines=6), "Nothing to build: it has all of its 6 engines. Remove one"),
            (entry("ready", "no GPU to validate on"), "all of its 2 engines: no GPU to validate on."),
            (entry("queued", coming=[QUEUED]), "default is built next."),
            (entry("queued", coming=[QUEUED | {"reason": "paused"}]), "default is built next: paused."),
            (entry("building", coming=[QUEUED | {"state": "building"}, FIXED, FIXED]),
             "default is being built. 2 more are to come."),
            (entry("ready", coming=[FIXED]), "512 × 768, batch 2 is built next."),
            (entry("failed", coming=[QUEUED | {"state": "failed", "reason": "the disk is full"}]),
             "default is failed: the disk is full."),
            (entry("rejected", "not a checkpoint"), "Its file is read again; it is rejected: not a checkpoint."),
            (entry("off", "no preset is for it"), "It is off: no preset is for it."),
        ):
            self.assertIn(said, view.requested(shown).replace("\\", ""), shown)


@unittest.skipIf(importlib.util.find_spec("gradio") is None, "needs gradio")
class Events(unittest.TestCase):
    def test_no_event_goes_on_by_itself_or_waits_in_the_queue(self):
        from sdtrt.a1111 import tab

        ((blocks, title, _),) = tab.on_ui_tabs()
        self.assertEqual(title, "TensorRT")
        # As gradio 4 tells a page, and 3.
        events = getattr(blocks, "dependencies", None) or blocks.get_config_file()["dependencies"]
        self.assertGreater(len(events), 10)
        for event in events:
            self.assertFalse(event.get("every"), event)
            # What the page does alone asks for nothing.
            self.assertTrue(event["queue"] is False or not event["backend_fn"], event)
