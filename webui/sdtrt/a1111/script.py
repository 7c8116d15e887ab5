"""What A1111 calls."""
from __future__ import annotations

from modules import script_callbacks, scripts, sd_models, sd_unet

from .. import callbacks
from ..follow import follow
from . import hooks, switch, tab


class EnginesScript(scripts.Script):
    """Passes on the start and end of jobs; shows nothing."""

    def title(self):
        return "sdtrt"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def before_process(self, p, *args):
        hooks.note_job(p)

    def process(self, p, *args):
        tab.desk.last.begin()
        hooks.before_job()

    def process_batch(self, p, *args, **kwargs):
        hooks.before_batch(p)

    def before_hr(self, p, *args):
        hooks.before_pass()

    def postprocess(self, p, processed, *args):
        hooks.after_job()


def register():
    """Has the web UI call all of this."""
    switch.install(sd_unet, hooks.is_ours, hooks.follow)
    follow(sd_models, "unload_model_weights", hooks.put_away)
    follow(sd_models, "reload_model_weights", hooks.before_load)
    ours = {"list_unets": hooks.list_unets, "ui_tabs": tab.page.on_ui_tabs, "app_started": tab.page.on_app_started}
    for kind, callback in ours.items():
        callbacks.register(script_callbacks, kind, callback, __file__)
