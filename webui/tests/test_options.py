"""The web UI's list of UNets, and what 'Automatic' takes from it."""
import os
import tempfile
import unittest
from pathlib import Path

from sdtrt import hooks

from . import samples
from .web_ui import WebUi


class Options(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name).resolve()
        self.models, self.other = self.folder / "models", self.folder / "other"
        self.models.mkdir()
        self.other.mkdir()
        self.engines = samples.Engines(self, self.folder)

    def write(self, *paths):
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(str(path))

    def publish(self, locations):
        """An index in which every checkpoint has an engine of its own; `locations` by checkpoint."""
        checkpoints = [
            samples.checkpoint(name, paths, [samples.engine(f"engine of {name}")])
            for name, paths in locations.items()
        ]
        aside = self.folder / "aside"
        aside.write_text(samples.text(*checkpoints))
        aside.rename(self.folder / "index.json")

    def used(self, webui, path):
        """Whose engine serves once this checkpoint is loaded."""
        webui.load(path)
        unet = webui.unet.current_unet
        return None if unet is None else unet.forward(*samples.call())

    def test_automatic_takes_the_engine_of_the_file_that_is_loaded(self):
        a, b = self.models, self.other
        files = {
            "plain": a / "plain.safetensors",
            "in a subfolder": a / "sub/dir/deep.safetensors",
            "same base name": a / "sub/plain.safetensors",
            "in the other root": b / "plain.safetensors",
            "in a folder of the other root": b / "sub/other.ckpt",
            "torch's": a / "twin.ckpt",
            "safetensors": a / "twin.safetensors",
            "slash": a / "x/y.safetensors",
            "underscore": a / "x_y.safetensors",
        }
        self.write(*files.values())
        self.write(a / "without engine.ckpt")
        self.publish({name: [path] for name, path in files.items()})
        webui = WebUi(a, b)
        webui.list_unets()
        labels = [option.label for option in webui.unet.unet_options]
        self.assertEqual(len(labels), len(set(labels)), labels)
        names = {option.model_name for option in webui.unet.unet_options}
        self.assertEqual(names, {"plain", "sub_dir_deep", "sub_plain", "sub_other", "twin", "x_y"})
        for name, path in files.items():
            with self.subTest(name):
                self.assertEqual(self.used(webui, path), f"engine of {name}'s")
        self.assertIsNone(self.used(webui, a / "without engine.ckpt"))

    def test_one_content_at_several_places_and_behind_links(self):
        self.write(self.models / "a.safetensors", self.folder / "disk/c.safetensors")
        (self.models / "linked").symlink_to(self.folder / "disk")
        (self.models / "sub").mkdir()
        os.link(self.models / "a.safetensors", self.models / "sub/b.safetensors")
        self.publish({
            "one": [self.models / "a.safetensors", self.models / "sub/b.safetensors"],
            "two": [self.folder / "disk/c.safetensors"],
        })
        webui = WebUi(self.models)
        webui.list_unets()
        for path, name in (("a", "one"), ("sub/b", "one"), ("linked/c", "two")):
            found = self.used(webui, self.models / f"{path}.safetensors")
            self.assertEqual(found, f"engine of {name}'s", path)

    def test_engines_that_come_are_taken_up_before_the_next_job(self):
        path = self.models / "a.safetensors"
        self.write(path)
        webui = WebUi(self.models)
        webui.list_unets()
        self.assertIsNone(self.used(webui, path))
        self.publish({"a": [path]})
        webui.job()
        self.assertEqual(webui.unet.current_unet.forward(*samples.call()), "engine of a's")
        webui.job()
        self.assertEqual(self.engines.loaded, ["engine of a"], "loaded once")

    def test_engines_that_the_tab_has_seen_first_are_taken_up_too(self):
        path = self.models / "a.safetensors"
        self.write(path)
        webui = WebUi(self.models)
        webui.list_unets()
        webui.load(path)
        self.publish({"a": [path]})
        # As the tab does every two seconds.
        hooks.index_file.refresh()
        webui.job()
        self.assertEqual(webui.unet.current_unet.forward(*samples.call()), "engine of a's")

    def test_a_checkpoint_that_came_back_after_a_refiner_has_its_engine_in_the_next_batch(self):
        paths = {name: self.models / f"{name}.safetensors" for name in ("base", "refiner")}
        self.write(*paths.values())
        self.publish({name: [path] for name, path in paths.items()})
        webui = WebUi(self.models)
        webui.list_unets()
        webui.load(paths["base"])
        webui.job()
        webui.swap(paths["refiner"])
        webui.swap(paths["base"])
        self.assertIsNone(webui.unet.current_unet)
        webui.start_pass()
        self.assertEqual(webui.unet.current_unet.forward(*samples.call()), "engine of base's")

    def test_a_checkpoint_that_moves_while_it_is_loaded_keeps_its_engine(self):
        path, moved = self.models / "a.safetensors", self.models / "sub/b.safetensors"
        self.write(path)
        self.publish({"a": [path]})
        webui = WebUi(self.models)
        webui.list_unets()
        self.used(webui, path)
        moved.parent.mkdir()
        path.rename(moved)
        self.publish({"a": [moved]})
        webui.job()
        self.assertEqual(webui.unet.current_unet.forward(*samples.call()), "engine of a's")
        self.write(path)
        webui.refresh_checkpoints()
        webui.job()
        self.assertIsNone(webui.unet.current_unet, "another file now")

    def test_an_index_that_is_not_there_or_damaged(self):
        path = self.models / "a.safetensors"
        self.write(path)
        webui = WebUi(self.models)
        for text in (None, "{", '{"version": 2}', "[]"):
            if text is not None:
                (self.folder / "index.json").write_text(text)
            webui.list_unets()
            self.assertEqual(webui.unet.unet_options, [], text)
        self.assertTrue(any("version 2" in line for line in self.engines.said), self.engines.said)
