"""What Forge's samplers call: around a job, at each pass and step of it, and for its UNet."""
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import machine
from ..ahead import Ahead
from ..index import IndexFile
from ..options import Catalogue
from ..patchers import patches
from ..patchers.gpus import gpu_of, is_compiling
from ..patchers.labels import AUTOMATIC, NEVER, choice
from ..patchers.session import Run, Session
from ..place import Place
from ..shapes import Teller
from . import steps, wrapper
from .front import Forge, is_unet, loaded_model, refined

if TYPE_CHECKING:
    import torch


class Jobs:
    """`folder` is the daemon's data folder. Each GPU has a session."""

    def __init__(self, folder: str | Path, front: Forge) -> None:
        self.front = front
        self.use(folder)

    def use(self, folder: str | Path) -> None:
        """Uses this data folder of the daemon."""
        self.place = Place(folder)
        self.index_file = IndexFile(self.place.index)
        self.catalogue = Catalogue(self.index_file)
        self.teller = Teller(self.place.shapes)
        self._sessions: dict[int, Session] = {}
        # What a person has chosen, and the engine's first digits.
        self._chosen = AUTOMATIC
        self._only: str | None = None
        # Whose UNet computes in this step, and what its weights follow from.
        self._patcher: Any = None
        self._weights: Any = None

    def load_ahead(self, path: str, width: int, height: int, images: int) -> None:
        """Starts to load the engine for a checkpoint, in this file, that the web UI is about to load for a job."""
        info = getattr(loaded_model(), "sd_checkpoint_info", None)
        number = machine.current()
        if number is None or path == getattr(info, "filename", None):
            return
        ahead = Ahead(self.session(number).unet)
        ahead.note(width, height, images)
        ahead.begin(path)

    def start(self, chosen: str) -> None:
        """Begins a job, with what a person has chosen."""
        self.index_file.refresh()
        self._chosen, self._only = chosen, choice(chosen, self.catalogue.index)
        for session in self._sessions.values():
            session.unet.start_job()
        if chosen == NEVER:
            self._leave_to_torch()

    def end(self) -> None:
        """Ends a job. The weights stay as engines read them: the next one needs them so again, or leaves them."""
        for session in self._sessions.values():
            self.teller.tell(self.catalogue.index.socket, session.end_job(restores=False))
        # Nothing here keeps a model alive.
        self._patcher = self._weights = None

    def start_pass(self, objects: Any) -> None:
        """Begins a pass, which is computed by these objects of the model: the patcher `unet` and others."""
        self._start_pass()
        self.step(objects)

    def step(self, objects: Any) -> None:
        """Comes before each step. A refiner may have brought another model, or other weights in the same one, and an
        extension may have put its own function in the place of ours."""
        if self._chosen == NEVER:
            return
        objects.unet = self._patcher = wrapper.put(objects.unet, self.compute)
        weights = id(self._patcher.model), patches.state(self._patcher), refined()
        if weights != self._weights:
            self._weights = weights
            self._start_pass()

    def watch(self, denoiser: Any) -> None:
        """Lets the sampler's later steps be computed again, should an engine fail in one."""
        steps.watch(denoiser, self.front.is_own, self._serving)

    def _serving(self) -> Session | None:
        """Returns the engines, if those of one GPU compute."""
        sessions = list(self._sessions.values())
        return sessions[0] if len(sessions) == 1 and self._chosen != NEVER else None

    def _start_pass(self) -> None:
        for session in self._sessions.values():
            session.start_pass()

    def _leave_to_torch(self) -> None:
        for session in self._sessions.values():
            session.unet.leave_to_torch()

    def put_away(self) -> None:
        """Frees what is ours on the GPUs: the web UI unloads its model."""
        for session in self._sessions.values():
            session.unet.put_away()
        self._patcher = self._weights = None

    def compute(self, unet: Any, original: Any, *args: Any, **kwargs: Any) -> Any:
        """Computes a UNet's call. `original` is its own method; without one nothing is computed here, but said."""
        if is_compiling():
            return original and original(*args, **kwargs)
        # The patcher may still have ours from another job.
        is_never = self._chosen == NEVER
        why = None if is_never else self._why_not(unet, original, args, kwargs)
        if not is_never and why is None:
            return self._call(unet, original, *args, **kwargs)
        if why is not None:
            self.front.say_once(f"{why}; PyTorch computes")
        self._leave_to_torch()
        return original and original(*args, **kwargs)

    def _call(
        self,
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
        session = self.session(number)
        session.unet.chooser.only = self._only
        # The UNet writes into its options.
        options = {} if transformer_options is None else transformer_options
        run = Run(self.patcher(), unet, original, control, options, others)
        return session.compute(run, x, timesteps, context, y)

    def patcher(self) -> Any:
        """Returns whose UNet computes; None if no model is loaded."""
        return self._patcher or getattr(getattr(loaded_model(), "forge_objects", None), "unet", None)

    def _why_not(self, unet: Any, original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
        """Returns why this call can be no engine's, however the model is changed."""
        if hasattr(unet, "_orig_mod"):
            return "torch.compile is on"
        if original is None:
            return "somebody has replaced the model's own method, such as torch.compile"
        if not is_unet(unet):
            return f"engines are for the UNets of Stable Diffusion, and this model is a {type(unet).__name__}"
        if self.patcher() is None or getattr(self.patcher().model, "diffusion_model", None) is not unet:
            return "somebody calls the UNet without its patcher"
        if not args or (args[2] if len(args) > 2 else kwargs.get("context")) is None:
            return "the UNet is called without a prompt"
        if gpu_of(args[0]) is None:
            return f"engines need an NVIDIA GPU, and the UNet computes on {args[0].device}"
        return self.index_file.problem

    def session(self, number: int) -> Session:
        """Returns the engines on the GPU with this number."""
        if number not in self._sessions:
            self._sessions[number] = Session(self.catalogue, self.place, number, self.front)
        return self._sessions[number]
