"""What the web UI runs at each start before it imports anything."""
import io
import os
import subprocess
import tempfile
import unittest
from contextlib import redirect_stdout
from pathlib import Path
from unittest import mock

import install

COMPLAINT = """WARNING: Retrying (Retry(total=0, connect=None))
ERROR: Could not find a version that satisfies the requirement x==1
ERROR: No matching distribution found for x==1
"""


class Install(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        requirements = self.folder / "requirements.txt"
        requirements.write_text("no-such-package==0\n")
        self.patch(mock.patch.object(install, "REQUIREMENTS", requirements))
        # Nobody's own settings.
        self.patch(mock.patch.dict(os.environ, {"HOME": str(self.folder)}, clear=True))

    def patch(self, patch):
        self.addCleanup(patch.stop)
        return patch.start()

    def main(self):
        with redirect_stdout(io.StringIO()) as shown:
            install.main()
        return shown.getvalue().splitlines()

    def test_without_a_network_pip_is_not_even_started(self):
        run = self.patch(mock.patch.object(subprocess, "run"))
        self.patch(mock.patch.object(install, "refusal", lambda host, port: f"no connection to {host}: it is down"))
        (line,) = self.main()
        self.assertIn("no connection to", line)
        self.assertIn("PyTorch computes; the next start tries again", line)
        run.assert_not_called()

    def test_a_host_that_never_answers_is_not_waited_for(self):
        import threading

        never = threading.Event()
        self.addCleanup(never.set)
        self.patch(mock.patch.object(install, "refusal", lambda host, port: never.wait()))
        self.patch(mock.patch.object(install, "PATIENCE_S", 0.01))
        self.assertIn("does not answer", install.unreachable())

    def test_of_pips_complaint_one_line_is_shown(self):
        for complaint, shown in ((COMPLAINT, "No matching distribution found for x==1"),
                                 ("/usr/bin/python: No module named pip\n", "/usr/bin/python: No module named pip"),
                                 ("", "pip ended with 1")):
            ended = mock.Mock(returncode=1, stderr=complaint)
            with mock.patch.object(subprocess, "run", return_value=ended), \
                    mock.patch.object(install, "unreachable", lambda: None):
                first, last = self.main()
            self.assertIn("installing TensorRT-RTX, about 90 MB", first)
            self.assertTrue(last.endswith(f": {shown}"), last)

    def test_who_is_asked_follows_pips_settings_and_the_proxy(self):
        asked = []
        self.patch(mock.patch.object(install, "refusal", lambda host, port: asked.append((host, port))))
        (self.folder / ".config/pip").mkdir(parents=True)
        file = self.folder / ".config/pip/pip.conf"
        for settings, variables, expected in (
            ("", {}, ("pypi.org", 443)),
            ("[global]\nindex-url = http://mirror.lan:3141/simple", {}, ("mirror.lan", 3141)),
            ("[global]\nindex_url = https://a/simple\n[install]\nindex-url = http://b/simple", {}, ("b", 80)),
            ("[global]\nindex-url = http://b/simple", {"PIP_INDEX_URL": "https://c:1/x"}, ("c", 1)),
            ("", {"https_proxy": "http://proxy:8080"}, ("proxy", 8080)),
            ("", {"PIP_PROXY": "proxy:3128"}, ("proxy", 3128)),
            ("", {"PIP_NO_INDEX": "1"}, None),
            ("not a file of settings", {}, ("pypi.org", 443)),
        ):
            file.write_text(settings)
            del asked[:]
            with mock.patch.dict(os.environ, variables), mock.patch.object(install.sys, "prefix", str(self.folder)):
                self.assertIsNone(install.unreachable())
            self.assertEqual(asked, [expected] if expected else [], (settings, variables))

    def test_what_somebody_else_has_of_tensorrt_stays(self):
        parts = ("bindings", "libs")
        install.REQUIREMENTS.write_text("".join(f"tensorrt-rtx-cu12-{part}==1.7.1.116\n" for part in parts))
        self.patch(mock.patch.object(install, "unreachable", lambda: None))
        own = {"tensorrt_rtx_cu12_bindings": ("1.6.1.120",)}
        torchs = {"torch_tensorrt_rtx": ("2.14.0", "packaging>=23", "tensorrt_rtx<1.7.0.0,>=1.6.1.120")}
        for number, (packages, said) in enumerate((
            ({}, "installing"),
            (own, "installing"),
            (torchs, "torch-tensorrt-rtx 2.14.0 stays as it is"),
            (torchs | {"tensorrt_rtx_cu13_bindings": ("1.6.1.120",)}, "cu13-bindings 1.6.1.120, torch-tensorrt"),
            (torchs | own, "torch-tensorrt-rtx 2.14.0 stays as it is"),
            ({"tensorrt.rtx": ("1.7.1.116",)}, None),
            ({"something": ("1", 'tensorrt-rtx; extra == "all"')}, "installing"),
            # Not TensorRT for RTX.
            ({"tensorrt": ("10.0",), "torch_tensorrt": ("2.1", "tensorrt>=8")}, "installing"),
            ({"broken": None}, "installing"),
        )):
            place = self.folder / str(number)
            for name, about in packages.items():
                info = place / f"{name}-1.dist-info"
                info.mkdir(parents=True)
                if about is not None:
                    version, *needs = about
                    lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {each}" for each in needs)]
                    (info / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", *lines, ""]))
            run = mock.Mock(return_value=mock.Mock(returncode=0))
            with mock.patch.object(install.sys, "path", [str(place)]), mock.patch.object(subprocess, "run", run):
                shown = self.main()
            self.assertEqual(run.called, said == "installing", packages)
            self.assertEqual(len(shown), said is not None, packages)
            self.assertIn(said or "", "".join(shown))

    def test_a_closed_port_is_told_by_its_name(self):
        import socket

        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
        self.assertIn("no connection to 127.0.0.1: ", install.refusal("127.0.0.1", port))
