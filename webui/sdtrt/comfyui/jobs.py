"""What ComfyUI's samplers call: around a job, a pass of it, a model and its UNet."""
from __future__ import annotations

from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..index import IndexFile
from ..options import Catalogue
from ..patchers import repeat
from ..patchers.gpus import gpu_of, ignore_captures, is_compiling
from ..patchers.session import Run, Session
from ..place import Place
from ..shapes import Teller
from .front import ComfyUi

if TYPE_CHECKING:
    import torch


class Jobs:
    """`folder` is the daemon's data folder. Each GPU has a session, and each job looks at all of them anew."""

    def __init__(self, folder: str | Path, front: ComfyUi) -> None:
        self.front, self.place = front, Place(folder)
        self.index_file = IndexFile(self.place.index)
        self.catalogue = Catalogue(self.index_file)
        self.teller = Teller(self.place.shapes)
        self._sessions: dict[int, Session] = {}
        # Whose UNet computes in this thread.
        self._patcher: ContextVar[Any] = ContextVar("sdtrt_patcher", default=None)

    def job(self, executor: Any, *args: Any, **kwargs: Any) -> Any:
        """Around a guider's whole sampling."""
        self.index_file.refresh()
        for session in self._sessions.values():
            session.unet.start_job()
        try:
            return executor(*args, **kwargs)
        finally:
            for session in self._sessions.values():
                self.teller.tell(self.catalogue.index.socket, session.end_job())

    def a_pass(self, executor: Any, model_wrap: Any, sigmas: Any, extra_args: Any, *args: Any, **kwargs: Any) -> Any:
        """Around a sampler's pass, which is repeated if an engine has failed in it."""
        for session in self._sessions.values():
            session.start_pass()
        number = gpu_of(sigmas)
        options = extra_args.get("model_options", {}) if isinstance(extra_args, dict) else {}
        sample = lambda *given: executor(model_wrap, sigmas, *given, **kwargs)
        # Several GPUs compute in threads of their own.
        if number is None or "multigpu_clones" in options or self._why_none() is not None:
            return sample(extra_args, *args)
        # Samplers may write into what they are given.
        fresh = lambda given: given.clone() if hasattr(given, "clone") else given
        again = lambda: sample(dict(extra_args), *map(fresh, args))
        return repeat.watched(self._session(number), again)

    def model(self, executor: Any, *args: Any, **kwargs: Any) -> Any:
        """Around a model's call: says whose UNet computes."""
        options = kwargs.get("transformer_options")
        if isinstance(options, dict) and "multigpu_thread_device" in options:
            ignore_captures()
        before = self._patcher.set(getattr(executor.class_obj, "current_patcher", None))
        try:
            return executor(*args, **kwargs)
        finally:
            self._patcher.reset(before)

    def unet(self, choice: str | None, executor: Any, *args: Any, **kwargs: Any) -> Any:
        """Around a UNet's call, inside of everybody else's wrappers: whoever comes after this one in the list calls
        it in place of PyTorch. `choice` are the first digits of the engine that a person has chosen."""
        if not is_compiling():
            executor.original = partial(self._compute, choice, executor.class_obj, executor.original)
        return executor(*args, **kwargs)

    def _compute(self, choice: str | None, unet: Any, original: Any, *args: Any, **kwargs: Any) -> Any:
        why = self._why_not(unet, original, args)
        if why is not None:
            self.front.say_once(f"{why}; PyTorch computes")
            return original(*args, **kwargs)
        return self._call(choice, unet, original, *args, **kwargs)

    def _call(
        self,
        choice: str | None,
        unet: Any,
        original: Any,
        x: torch.Tensor,
        timesteps: torch.Tensor,
        context: torch.Tensor,
        y: torch.Tensor | None = None,
        control: Any = None,
        transformer_options: Any = None,
        **others: Any,
    ) -> torch.Tensor:
        number = gpu_of(x)
        assert number is not None, "it was looked at before"
        session = self._session(number)
        session.unet.chooser.only = choice
        run = Run(self._patcher.get(), unet, original, control, transformer_options or {}, others)
        return session.compute(run, x, timesteps, context, y)

    def _why_not(self, unet: Any, original: Any, args: tuple[Any, ...]) -> str | None:
        """Returns why this call can be no engine's, however the model is changed."""
        if not is_unet(unet):
            return f"engines are for the UNets of Stable Diffusion, and this model is a {type(unet).__name__}"
        if self._patcher.get() is None:
            return "somebody calls the UNet without its patcher"
        if getattr(original, "__func__", None) is not type(unet)._forward:
            return "somebody has replaced the UNet's own method"
        if len(args) < 3 or args[2] is None:
            return "the UNet is called without a prompt"
        if gpu_of(args[0]) is None:
            return f"engines need an NVIDIA GPU, and the UNet computes on {args[0].device}"
        return self._why_none()

    def _why_none(self) -> str | None:
        """Returns why there are no engines at all."""
        return self.index_file.problem

    def _session(self, number: int) -> Session:
        if number not in self._sessions:
            self._sessions[number] = Session(self.catalogue, self.place, number, self.front)
        return self._sessions[number]


def is_unet(unet: Any) -> bool:
    from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel

    return isinstance(unet, UNetModel)
