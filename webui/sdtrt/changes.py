"""What other extensions have put in place of the functions that a UNet's layers consist of: on a class, so that no
layer shows it, or in a module of Python. An engine has only torch's and the front end's own.
"""
from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from types import CodeType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import torch

# What a layer's call runs through, on its classes.
METHODS = (
    "forward", "_forward", "_conv_forward", "org_forward", "__call__", "_wrapped_call_impl", "_call_impl",
    "__getattr__", "__getattribute__", "weight", "bias",
)
# The layers that extensions change most, even where a UNet has none of them.
LAYERS = ("Linear", "Conv2d", "GroupNorm", "LayerNorm", "MultiheadAttention")
# What they call in torch.nn.functional and in torch.
FUNCTIONAL = (
    "linear", "conv2d", "group_norm", "layer_norm", "scaled_dot_product_attention", "multi_head_attention_forward",
    "softmax", "gelu", "silu", "interpolate", "pad", "dropout",
)
OPERATIONS = (
    "matmul", "bmm", "baddbmm", "addmm", "einsum", "softmax", "cat", "chunk", "sigmoid", "group_norm", "layer_norm",
    "conv2d",
)
# How deep a function is searched for those that it wraps.
DEPTH = 4


class Held(NamedTuple):
    """A function, and where it is looked up."""

    holder: Any
    name: str
    value: Any


class Changes:
    """Looks for them. `is_own` says of a file whether the front end, or torch, comes with it; `is_extension`,
    whether it belongs to an extension; `is_idle` of somebody's code whether it changes nothing at the moment."""

    def __init__(
        self,
        is_own: Callable[[str], bool],
        is_extension: Callable[[str], bool],
        is_idle: Callable[[CodeType], bool] = lambda code: False,
    ) -> None:
        self._is_own, self._is_extension, self._is_idle = is_own, is_extension, is_idle
        self._held: list[Held] = []
        # Those that change nothing at the moment.
        self._idle: list[Held] = []

    def look(self, unet: torch.nn.Module) -> str | None:
        """Looks at everything that the UNet uses; returns what was replaced, in words."""
        self._held = list(held(unet))
        self._idle = []
        found = next((each for each in self._held if self._is_foreign(each)), None)
        return (describe(found) if found else None) or hooked() or self._in_modules(unet)

    def look_again(self) -> str | None:
        """The same before a later call: only at what is another since. Takes tens of µs."""
        for number, (holder, name, value) in enumerate(self._held):
            now = vars(holder).get(name)
            if now is value:
                continue
            self._held[number] = found = Held(holder, name, now)
            if self._is_foreign(found):
                return describe(found)
        woken = next((each for each in self._idle if vars(each.holder).get(each.name) is each.value and
                      not all(map(self._is_idle, self._others(each)))), None)
        return describe(woken) if woken else hooked()

    def _is_foreign(self, found: Held) -> bool:
        others = self._others(found)
        if others and all(map(self._is_idle, others)):
            self._idle.append(found)
            return False
        return bool(others)

    def _others(self, found: Held) -> list[CodeType]:
        """The code in it that is an extension's."""
        return [code for code in codes(found.value) if not self._is_own(code.co_filename)]

    def _in_modules(self, unet: torch.nn.Module) -> str | None:
        """What an extension has put into the files that the UNet's classes are from, such as another `th`."""
        for name in sorted({type(part).__module__ for part in unet.modules()}):
            module = sys.modules.get(name)
            if module is None or name.partition(".")[0] == "torch":
                continue
            for key, value in list(vars(module).items()):
                files = [code.co_filename for code in codes(value)] or [home(type(value))]
                if not isinstance(value, type) and any(map(self._is_extension, files)):
                    return describe(Held(module, key, value))
        return None


def held(unet: torch.nn.Module) -> Iterator[Held]:
    """Everything that a UNet's layers run through: methods of their classes, and torch's functions."""
    import torch

    kinds = {type(part) for part in unet.modules()} | {getattr(torch.nn, name) for name in LAYERS}
    classes = {base: None for kind in sorted(kinds, key=lambda kind: kind.__qualname__) for base in kind.__mro__}
    for holder in classes:
        if holder is not object:
            yield from (Held(holder, name, vars(holder).get(name)) for name in METHODS)
    for module, names in ((torch.nn.functional, FUNCTIONAL), (torch, OPERATIONS)):
        yield from (Held(module, name, vars(module).get(name)) for name in names)


def hooked() -> str | None:
    """Whether something is called with every module, in words."""
    import torch

    of_all = vars(torch.nn.modules.module)
    is_so = any(of_all.get(name) for name in ("_global_forward_hooks", "_global_forward_pre_hooks"))
    return "a hook is registered for all modules of torch" if is_so else None


def codes(value: Any, depth: int = DEPTH) -> Iterator[CodeType]:
    """The code of a function, and of those that it wraps or is made of. None for functions in C."""
    if isinstance(value, property):
        parts: Iterable[Any] = (value.fget,)
    elif isinstance(value, (staticmethod, classmethod, MethodType)):
        parts = (value.__func__,)
    elif isinstance(value, FunctionType):
        yield value.__code__
        parts = [vars(value).get("__wrapped__"), *contents(value)]
    elif isinstance(value, type) or not callable(value):
        return
    else:
        # An object that is called: a partial, or one of a class of somebody's own.
        call = type(value).__call__
        own = getattr(value, "__dict__", {})
        parts = [call if isinstance(call, FunctionType) else None, getattr(value, "func", None), *own.values()]
    if depth > 0:
        for part in parts:
            if callable(part):
                yield from codes(part, depth - 1)


def contents(function: FunctionType) -> list[Any]:
    """What a function has taken along from where it was made."""
    found = []
    for cell in function.__closure__ or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:
            # Not set yet.
            continue
    return found


def home(kind: type) -> str:
    """Returns the file that a class is from; an empty string for torch's and Python's own."""
    return getattr(sys.modules.get(kind.__module__), "__file__", None) or ""


def describe(found: Held) -> str:
    """Names what was replaced, and by whom."""
    where = getattr(found.holder, "__module__", None)
    name = getattr(found.holder, "__qualname__", None) or found.holder.__name__
    what = f"{where}.{name}.{found.name}" if where else f"{name}.{found.name}"
    files = [code.co_filename for code in codes(found.value)] or [home(type(found.value))]
    return f"{what} is replaced by {short(files[0])}"


def short(file: str) -> str:
    """The last parts of a path, which tell an extension."""
    return os.path.join(*file.split(os.sep)[-4:])
