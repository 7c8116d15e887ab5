"""Callbacks as web UIs take them."""
import unittest
from types import SimpleNamespace

from sdtrt import callbacks


def web_ui(add, kinds=("ui_tabs",)):
    """A web UI's module, and what was registered by its own function."""
    own: list = []
    found = SimpleNamespace(callback_map={f"callbacks_{kind}": [] for kind in kinds}, on_ui_tabs=own.append)
    if add is not None:
        found.add_callback = add
    return found, own


def today(callbacks, fun, *, name=None, category="unknown", filename=None):
    callbacks.append((fun, category, filename))


def of_1_6(callbacks, fun):
    raise AssertionError("its own function calls it")


class Callbacks(unittest.TestCase):
    def test_one_is_where_the_web_ui_looks_for_it(self):
        found, own = web_ui(today)
        callbacks.register(found, "ui_tabs", len, "/x/script.py")
        self.assertEqual(found.callback_map["callbacks_ui_tabs"], [(len, "ui_tabs", "/x/script.py")])
        self.assertEqual(own, [])

    def test_others_are_asked_as_they_want(self):
        for what, (found, own) in {
            "1.6": web_ui(of_1_6), "no such list": web_ui(today, kinds=()), "another module": web_ui(None),
        }.items():
            with self.subTest(what):
                callbacks.register(found, "ui_tabs", len, "/x/script.py")
                self.assertEqual(own, [len])


if __name__ == "__main__":
    unittest.main()
