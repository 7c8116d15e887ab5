"""What other extensions put in place of the functions that the UNet uses."""
import functools
import unittest
from types import SimpleNamespace

from sdtrt import changes

try:
    import torch
except ImportError:
    torch = None

EXTENSION = "/web ui/extensions/sd-webui-regional-prompter/scripts/latent.py"


def foreign(text="lambda self, *args: None", **names):
    """A function that an extension's file holds."""
    return eval(compile(text, EXTENSION, "eval"), names)


def files(function):
    return {code.co_filename for code in changes.codes(function)}


class Condition:
    """As A1111's CondFunc: calls one of two functions."""

    def __init__(self, original, substitute):
        self.original, self.substitute = original, substitute

    def __call__(self, *args):
        return self.substitute(*args)


class Codes(unittest.TestCase):
    def test_functions_are_found_in_whatever_wraps_them(self):
        function = foreign()
        condition = Condition(len, function)

        @functools.wraps(function)
        def wrapper(*args):
            return function(*args)

        for name, value in {
            "itself": function, "partial": functools.partial(function, 1), "property": property(function),
            "static": staticmethod(function), "bound": function.__get__(self), "wrapper": wrapper,
            "of a condition": lambda *args: condition(*args), "condition": condition,
        }.items():
            self.assertIn(EXTENSION, files(value), name)
        for name, value in {"in C": len, "nothing": None, "a class": SimpleNamespace, "its own": files}.items():
            self.assertNotIn(EXTENSION, files(value), name)


@unittest.skipIf(torch is None, "needs torch")
class Layers(unittest.TestCase):
    def setUp(self):
        own = lambda file: file != EXTENSION
        self.changes = changes.Changes(own, lambda file: file == EXTENSION)
        self.unet = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1), torch.nn.GroupNorm(1, 1), torch.nn.Linear(1, 1))

    def replace(self, holder, name, value):
        self.addCleanup(setattr, holder, name, getattr(holder, name))
        setattr(holder, name, value)

    def test_torchs_own_is_nothing(self):
        self.assertIsNone(self.changes.look(self.unet))
        self.assertIsNone(self.changes.look_again())

    def test_what_is_replaced_is_told_with_its_name(self):
        nn, functional = torch.nn, torch.nn.functional
        for holder, name, said in (
            (nn.Linear, "forward", "torch.nn.modules.linear.Linear.forward"),
            (nn.Conv2d, "forward", "Conv2d.forward"), (nn.Conv2d, "_conv_forward", "Conv2d._conv_forward"),
            (nn.GroupNorm, "forward", "GroupNorm.forward"), (nn.LayerNorm, "forward", "LayerNorm.forward"),
            (nn.MultiheadAttention, "forward", "MultiheadAttention.forward"), (nn.Module, "__call__", "__call__"),
            (functional, "scaled_dot_product_attention", "torch.nn.functional.scaled_dot_product_attention"),
            (functional, "linear", "torch.nn.functional.linear"), (torch, "einsum", "torch.einsum"),
        ):
            for when in ("at the start", "later"):
                with self.subTest(said, when=when):
                    if when == "later":
                        self.assertIsNone(self.changes.look(self.unet))
                    before = getattr(holder, name)
                    try:
                        setattr(holder, name, foreign())
                        told = self.changes.look(self.unet) if when == "at the start" else self.changes.look_again()
                    finally:
                        setattr(holder, name, before)
                    self.assertIn(said, told)
                    self.assertIn("sd-webui-regional-prompter/scripts/latent.py", told)
                    self.assertIsNone(self.changes.look(self.unet), "put back")

    def test_what_the_web_ui_replaces_itself_is_its_own(self):
        before = torch.nn.Linear.forward
        self.replace(torch.nn.Linear, "forward", lambda layer, x: before(layer, x))
        self.assertIsNone(self.changes.look(self.unet))
        # It casts in some passes, and keeps what was there before.
        torch.nn.Linear.org_forward = foreign()
        self.addCleanup(delattr, torch.nn.Linear, "org_forward")
        self.assertIn("Linear.org_forward", self.changes.look_again())

    def test_what_changes_nothing_at_the_moment_is_pardoned_until_it_does(self):
        idle = True
        self.changes = changes.Changes(lambda file: file != EXTENSION, lambda file: False,
                                       lambda code: idle and code.co_name == "<lambda>")
        self.replace(torch.nn.Linear, "forward", foreign())
        self.assertIsNone(self.changes.look(self.unet))
        self.assertIsNone(self.changes.look_again())
        idle = False
        self.assertIn("Linear.forward", self.changes.look_again())
        self.assertIn("Linear.forward", self.changes.look(self.unet))

    def test_hooks_of_all_modules(self):
        self.assertIsNone(self.changes.look(self.unet))
        hook = torch.nn.modules.module.register_module_forward_hook(lambda *args: None)
        try:
            self.assertIn("hook", self.changes.look_again())
        finally:
            hook.remove()
        self.assertIsNone(self.changes.look_again())

    def test_what_an_extension_puts_into_the_files_of_the_unets_classes(self):
        layer = type("Layer", (torch.nn.Module,), {"__module__": __name__})
        unet = torch.nn.Sequential(layer())
        self.assertIsNone(self.changes.look(unet))
        globals()["th"] = foreign()
        self.addCleanup(globals().pop, "th")
        self.assertIn(f"{__name__}.th", self.changes.look(unet))
