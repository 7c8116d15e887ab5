"""The tab 'TensorRT': shows what the daemon does, and sends it requests. For gradio 3 and 4."""
from __future__ import annotations

from typing import Any, Protocol

import gradio as gr

from . import view
from .daemon import NoAnswer, ask
from .index import Checkpoint, Engine, IndexFile
from .options import Catalogue
from .overview import Watch, key
from .unusable import Size

# The parameter by which an event gets its JavaScript.
JS = "js" if int(gr.__version__.partition(".")[0]) >= 4 else "_js"


class Desk(Protocol):
    """What the tab needs from a web UI."""

    @property
    def index_file(self) -> IndexFile:
        """The daemon's index."""

    @property
    def catalogue(self) -> Catalogue:
        """What is in it."""

    def loaded_path(self) -> str | None:
        """Returns the file of the loaded checkpoint."""

    def limits(self, checkpoint: Checkpoint, engines: tuple[Engine, ...]) -> dict[str, Size]:
        """Returns the size from which on each of these engines, by id, does not serve a checkpoint's weights here."""


class Tab:
    def __init__(self, desk: Desk) -> None:
        self.desk, self.watch = desk, Watch()

    def on_ui_tabs(self) -> list[tuple[Any, str, str]]:
        """Returns the tab in the web UI's form."""
        with gr.Blocks(analytics_enabled=False) as tab:
            shown = gr.Markdown(elem_id="sdtrt_status")
            with gr.Row():
                pause = gr.Button("Pause", elem_id="sdtrt_pause")
                resume = gr.Button("Resume", elem_id="sdtrt_resume")
            with gr.Row():
                chosen = gr.Dropdown(label="Checkpoint", elem_id="sdtrt_checkpoint")
                refresh = gr.Button("Refresh", scale=0, elem_id="sdtrt_refresh")
            engines = gr.Markdown(elem_id="sdtrt_engines")
            with gr.Row():
                build = gr.Button("Build now", variant="primary", elem_id="sdtrt_build")
                retry = gr.Button("Retry", elem_id="sdtrt_retry")
            with gr.Row():
                engine = gr.Textbox(label="Engine", placeholder="first digits, as above", elem_id="sdtrt_engine")
                remove = gr.Button("Remove", variant="stop", scale=0, elem_id="sdtrt_remove")
            said = gr.Markdown(elem_id="sdtrt_said")
            # None of these goes through gradio's queue: an event that waits there when its page closes is never done,
            # and gradio would wait for it when the web UI closes or reloads.
            now = {"queue": False}
            shows = {"fn": self.show, "inputs": chosen, "outputs": engines, **now}
            pause.click(lambda: self.do("pause", lambda reply: "Paused."), outputs=said, **now)
            resume.click(lambda: self.do("resume", lambda reply: "Resumed."), outputs=said, **now)
            build.click(
                lambda name: self.do("build", view.requested, reference=self.reference(name), now=True),
                chosen, said, **now,
            ).then(**shows)
            retry.click(
                lambda name: self.do("retry", view.requested, reference=self.reference(name)), chosen, said, **now
            ).then(**shows)
            remove.click(
                lambda key: self.do("remove", lambda reply: "Removed.", engine=key.strip()), engine, said, **now
            ).then(**shows)
            refresh.click(lambda: gr.update(choices=self.names()), outputs=chosen, **now).then(**shows)
            chosen.change(**shows)
            # The page clicks it while someone looks (javascript/sdtrt.js). Gradio's own way, `every`, never ends by
            # itself.
            update = gr.Button("Update", elem_id="sdtrt_update", visible=False)
            update.click(self.status, outputs=shown, show_progress="hidden", **now).success(
                None, **{JS: "() => window.sdtrtUpdated()"}
            )
            tab.load(self.status, outputs=shown, **now)
            tab.load(self.opened, outputs=[chosen, engines], **now)
            for field in (chosen, engine):
                # A choice must not become one of the web UI's defaults.
                field.do_not_save_to_config = True
        return [(tab, "TensorRT", "sdtrt")]

    def socket(self) -> str | None:
        self.desk.index_file.refresh()
        return self.desk.catalogue.index.socket

    def status(self) -> str:
        """Returns the daemon's status, or why there is none."""
        try:
            return view.status(self.watch.status(self.socket()))
        except NoAnswer as why:
            return view.message(why)

    def entries(self) -> dict[str, Any]:
        """Returns the daemon's list by the names that the tab shows."""
        try:
            return {view.name(entry): entry for entry in self.watch.entries(self.socket())}
        except NoAnswer:
            return {}

    def names(self) -> list[str]:
        return list(self.entries())

    def loaded(self) -> str | None:
        """Returns the entry of the checkpoint that the web UI has loaded."""
        checkpoint = self.desk.catalogue.checkpoint(self.desk.loaded_path())
        found = (name for name, entry in self.entries().items() if checkpoint and checkpoint.is_called(key(entry)))
        return next(found, None)

    def opened(self) -> tuple[Any, str]:
        """Returns the checkpoints, with the loaded one selected, and its engines."""
        name = self.loaded()
        return gr.update(choices=self.names(), value=name), self.show(name)

    def reference(self, name: str | None) -> str:
        entry = self.entries().get(name or "")
        return key(entry) if entry else ""

    def show(self, name: str | None) -> str:
        """Returns a checkpoint's engines."""
        entry = self.entries().get(name or "")
        if entry is None:
            return "Choose a checkpoint."
        found = self.desk.catalogue.by_key(key(entry))
        if found is None:
            return view.checkpoint(entry, (), {})
        index = self.desk.catalogue.index
        engines = (*index.engines(found), *index.controlled(found.signature))
        return view.checkpoint(entry, engines, self.desk.limits(found, engines))

    def do(self, request: str, done: Any, **arguments: Any) -> str:
        """Sends a request to the daemon, and returns what `done` says of its reply."""
        if not all(value for name, value in arguments.items() if name != "now"):
            return "Choose one first."
        try:
            said: str = done(ask(self.socket(), request, **arguments))
        except NoAnswer as why:
            return view.message(why)
        return said
