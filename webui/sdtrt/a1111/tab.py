"""The tab 'TensorRT': shows what the daemon does, and sends it requests."""
from __future__ import annotations

import gradio as gr

from .. import a1111, machine, view
from ..daemon import NoAnswer, ask
from ..overview import Watch, key
from . import hooks

watch = Watch()


def on_ui_tabs():
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
        # None of these goes through gradio's queue: an event that waits there when its page closes is never done, and
        # gradio would wait for it when the web UI closes or reloads.
        now = {"queue": False}
        shows = {"fn": show, "inputs": chosen, "outputs": engines, **now}
        pause.click(lambda: do("pause", lambda reply: "Paused."), outputs=said, **now)
        resume.click(lambda: do("resume", lambda reply: "Resumed."), outputs=said, **now)
        build.click(
            lambda name: do("build", view.requested, reference=reference(name), now=True), chosen, said, **now
        ).then(**shows)
        retry.click(
            lambda name: do("retry", view.requested, reference=reference(name)), chosen, said, **now
        ).then(**shows)
        remove.click(
            lambda key: do("remove", lambda reply: "Removed.", engine=key.strip()), engine, said, **now
        ).then(**shows)
        refresh.click(lambda: gr.update(choices=names()), outputs=chosen, **now).then(**shows)
        chosen.change(**shows)
        # The page clicks it while someone looks (javascript/sdtrt.js). Gradio's own way, `every`, never ends by
        # itself.
        update = gr.Button("Update", elem_id="sdtrt_update", visible=False)
        update.click(status, outputs=shown, show_progress="hidden", **now).success(
            None, _js="() => window.sdtrtUpdated()"
        )
        tab.load(status, outputs=shown, **now)
        tab.load(opened, outputs=[chosen, engines], **now)
        for field in (chosen, engine):
            # A choice must not become one of the web UI's defaults.
            field.do_not_save_to_config = True
    return [(tab, "TensorRT", "sdtrt")]


def socket():
    hooks.index_file.refresh()
    return hooks.index_file.index.socket


def status():
    """Returns the daemon's status, or why there is none."""
    try:
        return view.status(watch.status(socket()))
    except NoAnswer as why:
        return view.message(why)


def entries():
    """Returns the daemon's list by the names that the tab shows."""
    try:
        return {view.name(entry): entry for entry in watch.entries(socket())}
    except NoAnswer:
        return {}


def names():
    return list(entries())


def loaded():
    """Returns the entry of the checkpoint that the web UI has loaded."""
    checkpoint = hooks.catalogue.checkpoint(a1111.loaded_path())
    found = (name for name, entry in entries().items() if checkpoint and checkpoint.is_called(key(entry)))
    return next(found, None)


def opened():
    """Returns the checkpoints, with the loaded one selected, and its engines."""
    name = loaded()
    return gr.update(choices=names(), value=name), show(name)


def reference(name):
    entry = entries().get(name)
    return key(entry) if entry else ""


def show(name):
    """Returns a checkpoint's engines."""
    entry = entries().get(name)
    if entry is None:
        return "Choose a checkpoint."
    found = hooks.catalogue.by_key(key(entry))
    if found is None:
        return view.checkpoint(entry, (), {})
    index = hooks.catalogue.index
    engines = (*index.engines(found), *index.controlled(found.signature))
    # Which GPU this is only matters if it is used.
    limits = {} if a1111.standstill() or machine.missing() else hooks.unet.limits(found, engines)
    return view.checkpoint(entry, engines, limits)


def do(request, done, **arguments):
    """Sends a request to the daemon, and returns what `done` says of its reply."""
    if not all(value for name, value in arguments.items() if name != "now"):
        return "Choose one first."
    try:
        return done(ask(socket(), request, **arguments))
    except NoAnswer as why:
        return view.message(why)
