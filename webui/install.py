"""Installs the TensorRT-RTX bindings and nothing else. The web UI runs this at every start."""
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

# Beside this file itself, which the web UI reaches through a link.
REQUIREMENTS = Path(__file__).resolve().parent / "requirements.txt"


def pinned(text: str) -> list[tuple[str, str]]:
    """Returns package and version of each requirement."""
    lines = (line.split("\\")[0].strip().partition("==") for line in text.splitlines())
    return [(package, version) for package, separator, version in lines if separator]


def is_installed(package: str, version: str) -> bool:
    try:
        return metadata.version(package) == version
    except metadata.PackageNotFoundError:
        return False


def main() -> None:
    if all(is_installed(*each) for each in pinned(REQUIREMENTS.read_text("utf-8"))):
        return
    print("sdtrt: installing TensorRT-RTX, about 90 MB")
    # torch and everything else stay untouched: these two packages have no dependencies.
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    # Python looks for `pip` in the current folder first, which may be anybody's.
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(
            [*pip, "--disable-pip-version-check", "--quiet", "-r", str(REQUIREMENTS)],
            cwd=folder,
            capture_output=True,
            text=True,
        )
    if run.returncode != 0:
        # The web UI works without it.
        print(f"sdtrt: TensorRT-RTX could not be installed, so PyTorch computes:\n{run.stderr.strip()}")


if __name__ == "__main__":
    main()
