"""What the web UI calls: its list of UNets, and before and after each job."""
from __future__ import annotations

from modules import sd_models, sd_unet

from . import a1111, options
from .index import IndexFile
from .place import Place, data_folder
from .unet import Unet

place = Place(data_folder())
index_file = IndexFile(place.index)
files = options.Files()
# What the web UI's list of UNets was made of: its checkpoints, and the index.
_listed = None


class EngineOption(sd_unet.SdUnetOption):
    """An entry of the web UI's list."""

    def __init__(self, choice):
        self.choice = choice
        self.model_name = choice.model_name
        self.label = choice.label

    def create_unet(self):
        path = a1111.loaded_path()
        checkpoint = self.choice.of(path)
        if checkpoint is None:
            # Chosen by hand for another checkpoint: PyTorch computes, and says so.
            path, checkpoint = self.choice.checkpoints[0]
        return Unet(checkpoint, path, place, a1111)

    def _engines(self):
        pairs = self.choice.checkpoints
        ids = [(path, found.id, *(engine.id for engine in found.engines)) for path, found in pairs]
        return self.label, self.model_name, ids

    # The web UI loads again what is not equal.
    def __eq__(self, other):
        return isinstance(other, EngineOption) and self._engines() == other._engines()

    __hash__ = None


def known():
    """The file and the name of each checkpoint that the web UI has in its list."""
    # A copy: while it loads a checkpoint, another thread changes its title in there.
    return [(info.filename, info.model_name) for info in list(sd_models.checkpoints_list.values())]


def list_unets(unets):
    """Adds the entries; the web UI calls this at its start and when the list is refreshed."""
    global _listed
    index_file.refresh()
    if index_file.problem:
        a1111.say(index_file.problem)
    _listed = known(), index_file.index
    unets.extend(map(EngineOption, options.choices(index_file.index, files, known())))


def current():
    """The engines in use, or None."""
    unet = sd_unet.current_unet
    return unet if isinstance(unet, Unet) else None


def before_job():
    """Takes up engines that have come since, before the web UI chooses one."""
    index_file.refresh()
    # Not whether it has changed just now: the tab looks at it too.
    if (known(), index_file.index) != _listed:
        sd_unet.list_unets()
    if current():
        current().start_job()


def before_pass():
    """Has the engine of the checkpoint that is loaded: after a refiner, or for a hires checkpoint, the web
    UI may have loaded it without choosing an engine. Makes way for an extension that works inside of the
    UNet."""
    sd_unet.apply_unet()
    if not current():
        return
    current().start_pass()
    if a1111.taken_over():
        current().step_aside()


def after_job():
    if current():
        current().end_job()
