"""Registers the extension with the web UI: A1111, or one of Forge's family."""
from importlib.util import find_spec

if find_spec("modules_forge") is None:
    from sdtrt.a1111.script import EnginesScript, register
else:
    from sdtrt.forge.script import EnginesScript, register

__all__ = ["EnginesScript"]

register()
