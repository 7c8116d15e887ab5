"""Installs the TensorRT-RTX bindings and nothing else. The web UI runs this at every start."""
import os
import re
import sys
from importlib import metadata
from pathlib import Path

# Beside this file itself, which the web UI reaches through a link.
REQUIREMENTS = Path(__file__).resolve().parent / "requirements.txt"
INDEX = "https://pypi.org/simple"
# How long a connection to the package index, or to the proxy before it, may take.
PATIENCE_S = 1.0


def pinned(text: str) -> list[tuple[str, str]]:
    """Returns package and version of each requirement."""
    lines = (line.split("\\")[0].strip().partition("==") for line in text.splitlines())
    return [(package, version) for package, separator, version in lines if separator]


def is_installed(package: str, version: str) -> bool:
    try:
        return metadata.version(package) == version
    except metadata.PackageNotFoundError:
        return False


def normalized(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


def others(pinned: set[str]) -> list[tuple[str, str]]:
    """Returns name and version of each package that is part of TensorRT-RTX, or needs it, and is none of ours. Whatever
    its CUDA version, it has the same files as ours, which would overwrite them."""
    found = []
    for package in metadata.distributions():
        try:
            name, version = normalized(package.metadata["Name"]), package.version
            needs = [normalized(each) for each in package.requires or () if "extra ==" not in each]
        except Exception:
            # What an interrupted installation has left behind.
            continue
        if name not in pinned and any(each.startswith("tensorrt-rtx") for each in (name, *needs)):
            found.append((name, version))
    return sorted(found)


def kept(wanted: list[tuple[str, str]]) -> str | None:
    """Returns why the TensorRT-RTX stays that somebody else has installed, in words; an empty text if it is what we
    want. None if there is none."""
    found = others({package for package, _ in wanted})
    if not found:
        return None
    versions = {version for name, version in found if name.startswith("tensorrt-rtx")}
    if versions & {version for _, version in wanted}:
        return ""
    names = ", ".join(f"{name} {version}" for name, version in found)
    return (
        f"{names} stays as it is, so TensorRT-RTX {wanted[0][1]} is not installed; engines are used if sdtrtd builds "
        "them with the version that is here (tensorrt_dir in sdtrtd.toml)"
    )


def configured() -> dict[str, str]:
    """Returns pip's settings that say where packages come from, by its files and the environment."""
    import configparser

    home = Path(os.environ.get("HOME", "/"))
    own = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    files: list[str | Path] = ["/etc/xdg/pip/pip.conf", "/etc/pip.conf", home / ".pip/pip.conf", own / "pip/pip.conf",
             Path(sys.prefix, "pip.conf"), os.environ.get("PIP_CONFIG_FILE", "")]
    parser = configparser.RawConfigParser(strict=False)
    found: dict[str, str] = {}
    try:
        parser.read([file for file in files if file], "utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return found
    for section in ("global", "install"):
        if parser.has_section(section):
            found |= {name.replace("_", "-"): value.strip() for name, value in parser.items(section)}
    for name in ("index-url", "proxy", "no-index", "find-links", "extra-index-url"):
        value = os.environ.get("PIP_" + name.upper().replace("-", "_"))
        found |= {name: value} if value else {}
    return found


def unreachable() -> str | None:
    """Returns why there is nowhere to install from, in words: pip would find out after many seconds. None if there
    is, or if only pip can tell."""
    import threading
    from urllib.parse import urlsplit
    from urllib.request import getproxies, proxy_bypass

    settings = configured()
    if settings.keys() & {"no-index", "extra-index-url"}:
        return None
    index = urlsplit(settings.get("index-url", INDEX))
    proxy = settings.get("proxy") or getproxies().get(index.scheme)
    via = urlsplit(proxy if "://" in proxy else f"//{proxy}") if proxy and not proxy_bypass(index.netloc) else index
    if via.hostname is None:
        return None
    said: list[str | None] = []
    port = via.port or {"http": 80}.get(via.scheme, 443)
    # Looking a name up may take longer than any limit.
    asking = threading.Thread(target=lambda: said.append(refusal(str(via.hostname), port)), daemon=True)
    asking.start()
    asking.join(PATIENCE_S)
    return said[0] if said else f"{via.hostname} does not answer"


def refusal(host: str, port: int) -> str | None:
    """Returns why there is no connection to a host, in words."""
    import socket

    try:
        socket.create_connection((host, port), PATIENCE_S).close()
    except OSError as error:
        return f"no connection to {host}: {error.strerror or error}"
    return None


def install() -> str | None:
    """Lets pip install the packages; returns its complaint if it can't."""
    import subprocess
    import tempfile

    # torch and everything else stay untouched: these packages have no dependencies.
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    # Python looks for `pip` in the current folder first, which may be anybody's.
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(
            [*pip, "--retries", "1", "--disable-pip-version-check", "--quiet", "-r", str(REQUIREMENTS)],
            cwd=folder,
            capture_output=True,
            text=True,
        )
    if run.returncode == 0:
        return None
    lines = [line.strip() for line in run.stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or [f"pip ended with {run.returncode}"])[-1]


def main() -> None:
    wanted = pinned(REQUIREMENTS.read_text("utf-8"))
    if all(is_installed(*each) for each in wanted):
        return
    why = kept(wanted)
    if why is not None:
        if why:
            print(f"sdtrt: {why}", flush=True)
        return
    problem = unreachable()
    if problem is None:
        print("sdtrt: installing TensorRT-RTX, about 90 MB", flush=True)
        problem = install()
    if problem is not None:
        # The web UI works without it.
        print(f"sdtrt: TensorRT-RTX could not be installed, so PyTorch computes; the next start tries again: {problem}")


if __name__ == "__main__":
    main()
