"""Which engines stay loaded, what they read, and which kernels are stored."""
import fcntl
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

from sdtrt import binding, index, kernels, machine
from sdtrt.engines import FIXED, OPEN, Engines
from sdtrt.gpu import Gpu
from sdtrt.packed import Packed, Read

from . import samples


def entry(name, **changes):
    text = samples.text(shared=[samples.engine(name, **changes)])
    return index.parse(text).shared(samples.signature_of())[0]


def fixed(name):
    return entry(name, profiles=[samples.fixed()])


class Loaded:
    """A stand-in for an engine."""

    inputs = frozenset({"sample"})

    def __init__(self, entry, log):
        self.cache = SimpleNamespace(save=lambda: log.append(f"save {entry.id}"))
        self.entry, self.log = entry, log

    def __call__(self, profile, inputs, weights):
        self.log.append((self.entry.id, weights))
        return "latent"


class Lent:
    released = 0

    def release(self):
        self.released += 1


class Case(unittest.TestCase):
    def setUp(self):
        self.log, self.lent, self.said = [], Lent(), []
        self.engines = Engines(self.load, self.lent, self.said.append)

    def load(self, entry, lent):
        self.assertIs(lent, self.lent, "one memory for all of them")
        self.log.append(f"load {entry.id}")
        return Loaded(entry, self.log), ()


class Pool(Case):
    def test_the_most_recently_used_stay_loaded(self):
        entries = [fixed(str(number)) for number in range(FIXED + 1)]
        opened = [entry(f"open {number}") for number in range(OPEN)]
        for each in (*opened, *entries[:FIXED], entries[0], *opened):
            self.engines.get(each)
        self.assertEqual(self.log, [f"load {each.id}" for each in (*opened, *entries[:FIXED])], "each once")
        self.engines.get(entries[FIXED])
        self.assertEqual(self.log[-2:], ["save 1", f"load {FIXED}"], "its kernels are saved before it is unloaded")
        for each in (entries[0], *opened):
            self.engines.get(each)
        self.assertEqual(self.log[-1], f"load {FIXED}", "they are still loaded")
        self.engines.get(entries[1])
        self.assertEqual(self.log[-1], "load 1")

    def test_what_is_freed_while_no_model_computes(self):
        baked = entry("baked", kind="baked")
        for each in (fixed("a"), baked):
            self.engines.get(each)
        self.engines.rest()
        self.assertEqual((self.lent.released, self.log[-1]), (1, "save baked"))
        for each in (fixed("a"), baked):
            self.engines.get(each)
        self.assertEqual(self.log[-1], "load baked", "with its weights it takes gigabytes")
        self.engines.drop()
        self.engines.get(fixed("a"))
        self.assertEqual((self.lent.released, self.log[-1]), (2, "load a"))

    def test_kernels_that_can_not_be_saved_are_reported(self):
        self.engines.get(fixed("a"))[0].cache.save = lambda: Path("/nowhere/a").write_bytes(b"")
        self.engines.save()
        self.assertIn("could not be saved", self.said[0])


class Weights:
    """A stand-in for the reader of weights."""

    problem = None

    def __init__(self, log):
        self.log = log

    def follow(self, unet, places, table, fresh):
        if self.problem:
            raise self.problem
        return {"a": id(unet)}

    def release(self):
        self.log.append("release")


class GpuCase(Case):
    """Engines with stand-ins for what they read."""

    def setUp(self):
        super().setUp()
        self.gpu = Gpu(None, self.said.append)
        self.weights = Weights(self.log)
        self.packed = Packed()
        self.gpu._working = self.engines, self.weights, self.packed
        read = lambda unet: Read(unet, {}, True, None)
        self.serve = lambda entry, unet, **inputs: self.gpu.serve(entry, 0, inputs or {"sample": 1}, read(unet))

    def load(self, entry, lent):
        engine, _ = super().load(entry, lent)
        return engine, ("a table",) if entry.is_shared else ()


class Gpus(GpuCase):
    def test_a_second_model_of_a_signature_loads_nothing(self):
        one, two, shared = object(), object(), entry("a")
        for unet in (one, two, one):
            self.serve(shared, unet)
        self.serve(entry("baked", kind="baked"), one)
        calls = [("a", {"a": id(unet)}) for unet in (one, two, one)]
        self.assertEqual(self.log, ["load a", *calls, "load baked", ("baked", None)])

    def test_what_can_not_be_read(self):
        with self.assertRaisesRegex(binding.Unfit, "sample"):
            self.serve(entry("a"), object(), sample=1, y=2)
        for problem, loads in ((binding.Unfit("fp8"), 0), (binding.OutOfMemory("memory"), 1)):
            del self.log[:]
            self.weights.problem = problem
            with self.assertRaises(type(problem)):
                self.serve(entry("a"), object())
            self.weights.problem = None
            self.serve(entry("a"), object())
            self.assertEqual(self.log.count("load a"), loads, "without enough memory nothing stays loaded")

    def test_nothing_stays_bound_after_an_error(self):
        self.serve(entry("a"), object())
        self.gpu.drop()
        self.assertEqual((self.log[-1], self.lent.released), ("release", 1))


    def test_what_is_on_a_lost_gpu_is_kept(self):
        self.serve(entry("a"), object())
        with patch.object(machine, "is_lost", lambda: True):
            self.gpu.drop()
        self.assertEqual((self.log[-1][0], self.lent.released), ("a", 0), "to destroy anything would end the process")
        self.assertIsNone(self.gpu._working)


class Runtime:
    """A stand-in for a context's configuration and its cache, which is a set of letters."""

    def __init__(self, *kernels):
        self.kernels = set(kernels)

    def create_runtime_cache(self):
        return self

    def set_runtime_cache(self, cache):
        """Nothing to do."""

    def deserialize(self, data):
        self.kernels |= set(data.decode())

    def serialize(self):
        return "".join(sorted(self.kernels)).encode()


class Kernels(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = Path(folder.name) / "kernels" / "a.cache"

    def cache(self, *found):
        cache = kernels.KernelCache(runtime := Runtime(), self.file)
        runtime.kernels |= set(found)
        cache.stale = bool(found)
        return cache

    def test_two_writers_keep_each_others_kernels(self):
        one, two = self.cache("a", "b"), self.cache("c")
        one.save()
        two.save()
        self.assertEqual(self.file.read_text(), "abc")
        before = self.file.stat().st_ino
        self.cache("a").save()
        self.cache().save()
        self.assertEqual(self.file.stat().st_ino, before, "nothing new, nothing written")
        self.assertEqual(sorted(path.name for path in self.file.parent.iterdir()), ["a.cache", "a.cache.lock"])

    def test_it_does_not_wait_for_another_writer(self):
        self.cache("a").save()
        cache = self.cache("b")
        with open(self.file.with_name("a.cache.lock"), "ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            cache.save()
        self.assertEqual(self.file.read_text(), "a")
        cache.save()
        self.assertEqual(self.file.read_text(), "ab", "but done later")

    def test_the_folder_is_of_one_gpu_driver_and_version(self):
        found = kernels.folder("NVIDIA H200", "580.159.04", "1.6.1.120")
        self.assertEqual(found, "NVIDIA_H200-580.159.04-1.6.1.120")
        self.assertEqual(kernels.folder("a/b (c)-d", "unknown", "1.7"), "a_b__c__d-unknown-1.7")

    def test_the_drivers_version_is_found(self):
        version = self.file.parent.parent / "version"
        smi = lambda *_, **__: SimpleNamespace(stdout="570.1.2\n")

        def missing(*_, **__):
            raise FileNotFoundError

        for text, run, found in (
            ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.159.04  Fri\nGCC version: 12.2", smi, "580.159.04"),
            ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  575.57.08  Release", smi, "575.57.08"),
            ("", smi, "570.1.2"), (None, smi, "570.1.2"), (None, missing, "unknown"),
        ):
            version.unlink(missing_ok=True)
            if text is not None:
                version.write_text(text)
            self.assertEqual(kernels.driver(version, run), found)
