"""The web UI's list of UNets, and what 'Automatic' chooses from it."""
import os
import tempfile
import threading
import unittest
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from sdtrt import files, index, options
from sdtrt.a1111 import hooks

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
        self.gpu = samples.Gpu(self, self.folder)

    def write(self, *paths):
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(str(path))

    def publish(self, locations, shared=(), **more):
        """Writes an index in which every checkpoint has its own engine, by `locations`, unless there are shared
        ones."""
        own = lambda name: [] if shared else [samples.baked(f"engine of {name}")]
        checkpoints = [samples.checkpoint(name, paths, own(name), **more) for name, paths in locations.items()]
        aside = self.folder / "aside"
        aside.write_text(samples.text(*checkpoints, shared=shared, **more))
        aside.rename(self.folder / "index.json")

    def used(self, webui, path):
        """Returns whose engine serves once this checkpoint is loaded."""
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
                self.assertEqual(self.used(webui, path), f"engine of {name}'s of its own")
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
            self.assertEqual(found, f"engine of {name}'s of its own", path)

    def test_new_engines_are_used_from_the_next_job_on(self):
        path = self.models / "a.safetensors"
        self.write(path)
        webui = WebUi(self.models)
        webui.list_unets()
        self.assertIsNone(self.used(webui, path))
        self.publish({"a": [path]})
        webui.job()
        self.assertEqual(webui.unet.current_unet.forward(*samples.call()), "engine of a's of its own")
        self.publish({"a": [path]}, shared=[samples.engine("shared")])
        # As the tab does every two seconds.
        hooks.index_file.refresh()
        webui.job()
        self.assertEqual(webui.unet.current_unet.forward(*samples.call()), "shared's of a")

    def test_a_model_that_no_file_holds_is_served_by_its_signature(self):
        known, merged = self.models / "known.safetensors", self.models / "merged.safetensors"
        self.write(known, merged)
        self.publish({"known": [known]}, shared=[samples.engine("shared")])
        webui = WebUi(self.models)
        webui.list_unets()
        self.assertEqual([option.model_name for option in webui.unet.unet_options], ["known"])
        self.assertEqual(self.used(webui, merged), "shared's of merged", "the first time that it is loaded")
        self.assertEqual(self.used(webui, known), "shared's of known")
        webui.load(merged, width=8)
        self.assertIsNone(webui.unet.current_unet, "of another signature")

    def test_in_a_container_files_are_recognized_by_name(self):
        here = self.models / "a.safetensors"
        self.write(here, self.models / "b.safetensors")
        elsewhere = Path("/nonexistent/host/a.safetensors")
        self.publish({"a": [elsewhere]}, shared=[samples.engine("shared")])
        webui = WebUi(self.models)
        webui.list_unets()
        self.assertEqual([option.model_name for option in webui.unet.unet_options], ["a"])
        paths = [str(here), str(self.models / "b.safetensors")]
        found = options.elsewhere(hooks.index_file.index, paths)
        self.assertEqual(found, {str(here): str(elsewhere)})
        self.assertIsNone(hooks.catalogue.checkpoint(str(here)), "its content may be another")
        self.publish({"a": [elsewhere]})
        hooks.index_file.refresh()
        self.assertEqual(options.elsewhere(hooks.index_file.index, paths), {}, "nothing shared serves it")

    def test_no_path_decides_which_weights_are_used(self):
        one, two = self.models / "one.safetensors", self.models / "two.safetensors"
        aside = self.folder / "aside.safetensors"
        self.write(one, two)
        locations = {"one": [one], "two": [two]}
        self.publish(locations, shared=[samples.engine("shared")])
        webui = WebUi(self.models)
        webui.list_unets()

        def swapped():
            one.rename(aside)
            two.rename(one)
            aside.rename(two)

        for what, do in (
            ("loaded", lambda: None),
            ("swapped under the daemon", swapped),
            ("overwritten", lambda: one.write_text("another")),
            ("renamed", lambda: one.rename(aside)),
            ("another index", lambda: self.publish({"two": [one]}, shared=[samples.engine("shared")])),
        ):
            with self.subTest(what):
                if what == "loaded":
                    webui.load(one)
                do()
                webui.job()
                self.assertEqual(webui.unet.current_unet.forward(*samples.call()), "shared's of one")

    def test_a_refiner_and_the_base_after_it_have_their_engines(self):
        paths = {name: self.models / f"{name}.safetensors" for name in ("base", "refiner")}
        self.write(*paths.values())
        self.publish({name: [path] for name, path in paths.items()}, shared=[samples.engine("shared")])
        webui = WebUi(self.models)
        webui.list_unets()
        webui.load(paths["base"])
        webui.job()
        forward = lambda: webui.unet.current_unet.forward(*samples.call())
        self.assertEqual(forward(), "shared's of base")
        # In the middle of a pass.
        webui.load(paths["refiner"])
        self.assertEqual(forward(), "shared's of refiner")
        webui.swap(paths["base"])
        self.assertIsNone(webui.unet.current_unet, "where the web UI chooses nothing")
        webui.start_pass()
        self.assertEqual(forward(), "shared's of base")

    def test_the_model_object_decides_and_not_what_was_chosen(self):
        paths = {name: self.models / f"{name}.safetensors" for name in ("a", "b")}
        self.write(*paths.values())
        self.publish({name: [path] for name, path in paths.items()}, shared=[samples.engine("shared")])
        webui = WebUi(self.models)
        webui.list_unets()
        webui.load(paths["a"])
        webui.job()
        self.assertEqual(webui.unet.current_unet.forward(*samples.call()), "shared's of a")
        webui.keep(paths["b"])
        self.assertEqual(webui.unet.current_unet.forward(*samples.call()), "shared's of b")
        self.assertTrue(self.gpu.calls[-1][2], "looked at in detail")
        webui.choose("[sdtrt] a")
        self.assertEqual(webui.unet.current_unet.forward(*samples.call()), "shared's of b", "whatever the label")

    def test_the_unet_is_not_moved_to_the_cpu_for_us(self):
        path = self.models / "a.safetensors"
        self.write(path)
        self.publish({"a": [path]}, shared=[samples.engine("shared")])
        webui = WebUi(self.models)
        webui.list_unets()
        webui.load(path)
        webui.job()
        webui.choose("None")
        webui.choose("Automatic")
        self.assertEqual((webui.torch_unet.moves, webui.torch_unet.place), (0, "cuda"))
        self.assertIn("rest", self.gpu.done, "what was read is given back")

    def test_a_unet_that_another_one_moved_to_the_cpu_is_moved_back(self):
        path = self.models / "a.safetensors"
        self.write(path)
        self.publish({"a": [path]}, shared=[samples.engine("shared")])
        webui = WebUi(self.models)
        webui.list_unets()
        webui.load(path)
        option = webui.unet.current_unet_option
        webui.choose("None")
        # Without our switch, as if another extension had replaced it.
        webui.setting = option.label
        webui.apply_unet()
        self.assertEqual(webui.torch_unet.place, "cuda")

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
        self.assertEqual(webui.unet.current_unet.forward(*samples.call()), "engine of a's of its own")
        self.write(path)
        webui.refresh_checkpoints()
        webui.job()
        self.assertIsNone(webui.unet.current_unet, "another file now")

    def test_an_inode_reused_by_another_file_is_not_the_checkpoints(self):
        inodes = {"/a": 5}

        def stat(path):
            if path not in inodes:
                raise FileNotFoundError(path)
            return SimpleNamespace(st_dev=1, st_ino=inodes[path])

        known = files.Files(stat)
        found = index.parse(samples.text(samples.checkpoint("a", ["/a"])))
        self.assertEqual(known.held(found, "/a").id, "a")
        inodes.clear()
        inodes["/b"] = 5
        self.assertIsNone(known.held(found, "/b"))

    def test_a_file_that_is_overwritten_is_another_until_the_index_says_whose(self):
        path = self.models / "a.safetensors"
        self.write(path)
        found = lambda: index.parse(samples.text(samples.checkpoint("a", [path])))
        known, first = files.Files(), found()
        self.assertEqual(known.held(first, str(path)).id, "a")
        path.write_text("another, which is longer or shorter")
        self.assertIsNone(known.held(first, str(path)))
        self.assertEqual(known.held(found(), str(path)).id, "a")

    def test_no_location_but_the_loaded_models_own_is_touched(self):
        path, dead = self.models / "a.safetensors", self.other / "dead.safetensors"
        self.write(path, dead)
        self.publish({"a": [path, self.other / "a.safetensors"], "dead": [dead]})
        webui = WebUi(self.models, self.other)
        touched = []
        note = lambda name, real: mock.patch.object(
            os, name, lambda path, *more, **rest: touched.append(str(path)) or real(path, *more, **rest))
        with note("stat", os.stat), note("lstat", os.lstat), note("readlink", os.readlink):
            hooks.catalogue.files = files.Files(os.stat)
            webui.list_unets()
            self.assertEqual(self.used(webui, path), "engine of a's of its own")
            webui.job()
            self.publish({"a": [path], "dead": [dead]}, shared=[samples.engine("shared")])
            webui.job()
        self.assertEqual([path for path in touched if path.startswith(str(self.other))], [])
        self.assertIn(str(path), touched)

    def test_a_disk_that_hangs_does_not_hold_up_the_next_picture(self):
        answers, asked = threading.Event(), []
        self.addCleanup(answers.set)
        found = lambda paths: index.parse(samples.text(samples.checkpoint("a", paths)))

        def stat(path):
            asked.append(path)
            if len(asked) > 1:
                answers.wait()
            return SimpleNamespace(st_dev=1, st_ino=5)

        known = files.Files(stat, patience=0.01)
        self.assertEqual(known.held(found(["/a"]), "/a").id, "a")
        # The daemon has found the disk to hang as well.
        for _ in range(3):
            self.assertEqual(known.held(found([]), "/a").id, "a", "its weights are loaded")
        self.assertEqual(len(asked), 2, "and nobody asks it again")
        answers.set()

    def test_lowvram_has_no_entries(self):
        path = self.models / "a.safetensors"
        self.write(path)
        self.publish({"a": [path]}, shared=[samples.engine("shared")])
        webui = WebUi(self.models)
        webui.shared.cmd_opts.lowvram = True
        webui.load(path)
        webui.job()
        self.assertIsNone(webui.unet.current_unet)
        self.assertEqual(sum("--lowvram" in line for line in self.gpu.said), 1, self.gpu.said)

    def test_a_missing_or_damaged_index(self):
        path = self.models / "a.safetensors"
        self.write(path)
        webui = WebUi(self.models)
        for text in (None, "{", '{"version": 1}', "[]"):
            if text is not None:
                (self.folder / "index.json").write_text(text)
            webui.list_unets()
            self.assertEqual(webui.unet.unet_options, [], text)
        self.assertTrue(any("version 1" in line for line in self.gpu.said), self.gpu.said)
