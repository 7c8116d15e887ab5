"""What the web UI calls. Nothing that fails in it is a reason for a job to fail."""
from __future__ import annotations

import gradio as gr

from modules import script_callbacks, scripts, sd_models, shared

from .. import callbacks
from ..aside import aside
from ..follow import follow
from ..patchers.labels import AUTOMATIC, NEVER, labels
from ..place import data_folder
from ..tab.page import Tab
from .front import Forge, loaded_model
from .jobs import Jobs
from .tab import Desk

# The setting, in the section with the name of the tab.
SETTING, SECTION = "sdtrt_engine", ("sdtrt", "TensorRT")

front = Forge()
jobs = Jobs(data_folder(), front)
desk = Desk(jobs)
tab = Tab(desk)
safe = aside(front.say)


class EnginesScript(scripts.Script):
    """Passes on the start and end of jobs and passes; shows nothing."""

    # After others, whose functions ours is then around.
    sorting_priority = 1_000_000

    def title(self):
        return "sdtrt"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    @safe
    def before_process(self, p, *args):
        name = p.override_settings.get("sd_model_checkpoint") or shared.opts.sd_model_checkpoint
        info = sd_models.get_closet_checkpoint_match(name)
        if info is not None and chosen() != NEVER:
            jobs.load_ahead(info.filename, int(p.width), int(p.height), int(p.batch_size))

    @safe
    def process(self, p, *args):
        desk.last.begin()
        jobs.start(chosen())

    @safe
    def process_before_every_sampling(self, p, *args, **kwargs):
        jobs.start_pass(p.sd_model.forge_objects)

    @safe
    def postprocess(self, p, processed, *args):
        jobs.end()


@safe
def put_away(*args, **kwargs):
    jobs.put_away()


@safe
def before_step(params):
    """The model may be another than at the start of the pass."""
    model = getattr(getattr(params.denoiser, "inner_model", None), "inner_model", None) or loaded_model()
    jobs.step(model.forge_objects)
    jobs.watch(params.denoiser)


@safe
def add_setting():
    """Adds the choice to the settings, from where people also put it on top of the page."""
    shared.opts.add_option(
        SETTING,
        shared.OptionInfo(
            AUTOMATIC, "TensorRT engine", gr.Dropdown, lambda: {"choices": choices()}, section=SECTION
        ).info("'automatic' takes the fastest engine that fits each call"),
    )


def chosen():
    return shared.opts.data.get(SETTING, AUTOMATIC)


def choices():
    jobs.index_file.refresh()
    return [AUTOMATIC, *labels(jobs.catalogue.index), NEVER]


def register():
    """Has the web UI call all of this."""
    follow(sd_models, "unload_model_weights", put_away)
    ours = {"cfg_denoiser": before_step, "ui_settings": add_setting, "ui_tabs": tab.on_ui_tabs,
            "app_started": tab.on_app_started}
    for kind, callback in ours.items():
        callbacks.register(script_callbacks, kind, callback, __file__)
