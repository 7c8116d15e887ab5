"""What the web UI calls: for its list of UNets, and before and after each job."""
from __future__ import annotations

from modules import sd_models, sd_unet, shared

from .. import a1111, machine, options
from ..ahead import Ahead
from ..aside import aside as made_aside
from ..gpu import Gpu
from ..index import IndexFile
from ..place import Place, data_folder
from ..shapes import Teller
from ..unet import Unet
from . import controlnet, repeat

place: Place
index_file: IndexFile
catalogue: options.Catalogue
unet: Unet
ahead: Ahead
teller: Teller
# What the web UI's list of UNets was made from: its checkpoints, the index and the loaded model.
_listed: tuple | None = None
_said = False


def start(folder):
    """Uses this data folder of the daemon."""
    global place, index_file, catalogue, unet, ahead, teller, _listed
    place = Place(folder)
    index_file = IndexFile(place.index)
    catalogue = options.Catalogue(index_file)
    unet = Unet(catalogue, place, Gpu(place, a1111.say), a1111)
    ahead = Ahead(unet)
    teller = Teller(place.shapes)
    _listed = None
    a1111.say_standing(None)


start(data_folder())


# Looked up when it is called.
aside = made_aside(lambda line: a1111.say(line))


class EngineOption(sd_unet.SdUnetOption):
    """An entry in the web UI's list. All entries stand for the engines of the loaded model."""

    def __init__(self, choice):
        self.model_name = choice.model_name
        self.label = choice.label

    def create_unet(self):
        return unet

    # The web UI reloads an option that is not equal.
    def __eq__(self, other):
        return isinstance(other, EngineOption) and self.label == other.label

    __hash__ = None  # type: ignore[assignment]


def is_ours(option):
    return isinstance(option, EngineOption)


def seen():
    """Returns what the entries depend on: the file and name of each checkpoint in the web UI's list, the index,
    and the name of the loaded model if there are engines for it; or why there are no entries."""
    still = a1111.standstill() or machine.missing()
    if still is not None:
        return still, catalogue.index, None
    # A copy: while the web UI loads a checkpoint, another thread changes its title there.
    known = [(info.filename, info.model_name) for info in list(sd_models.checkpoints_list.values())]
    return known, catalogue.index, a1111.loaded_name() if is_served() else None


def is_served():
    """Whether there are engines for the model that is loaded."""
    loaded = a1111.torch_unet()
    if loaded is None:
        return False
    if any(map(catalogue.index.shared, unet.looks.signatures(loaded))):
        return True
    checkpoint = catalogue.checkpoint(a1111.loaded_path())
    return checkpoint is not None and bool(checkpoint.engines)


@aside
def list_unets(unets):
    """Adds the entries; the web UI calls this at its start and when the list is refreshed."""
    global _listed
    index_file.refresh()
    _listed = known, index, loaded = seen()
    if isinstance(known, str):
        a1111.say_standing(f"{known}; PyTorch computes")
        return
    a1111.say_standing(index_file.problem)
    say_strangers(index, [path for path, _ in known])
    unets.extend(map(EngineOption, options.choices(index, catalogue.files, known, loaded)))


def say_strangers(index, paths):
    """Says once why engines with weights of their own are not used for files that the daemon sees elsewhere."""
    global _said
    strangers = options.elsewhere(index, [path for path in paths if not catalogue.files.named(index, path)])
    if not strangers or _said:
        return
    _said = True
    path, known = next(iter(strangers.items()))
    a1111.say(
        f"sdtrtd has no {path}, but {known}: shared engines serve it, and those with weights inside do not unless "
        "links lead from one to the other. Have both see the models at one path"
    )


def is_current():
    return sd_unet.current_unet is unet


@aside
def follow():
    """Updates the web UI's list before it chooses from it."""
    # Not whether the index has just changed: the tab refreshes it too.
    if seen() != _listed:
        sd_unet.list_unets()


@aside
def note_job(p):
    """A job begins, and may load a checkpoint first."""
    ahead.note(int(p.width), int(p.height), int(p.batch_size))


@aside
def before_load(sd_model=None, info=None, *args, **kwargs):
    """The web UI makes sure that a checkpoint is loaded, which may be another than is."""
    path = (info or sd_models.select_checkpoint()).filename
    is_off = getattr(shared.opts, "sd_unet", None) == "None"
    if path != a1111.loaded_path() and not is_off and not a1111.standstill():
        ahead.begin(path)


@aside
def before_job():
    """Picks up new engines."""
    index_file.refresh()
    unet.start_job()


def before_pass():
    """Uses engines for the loaded checkpoint: the web UI may have loaded it without choosing any, after a refiner
    or for the hires pass. Gives way to an extension that works inside the UNet."""
    sd_unet.apply_unet()
    prepare_pass()


@aside
def prepare_pass():
    if not is_current():
        return
    unet.start_pass()
    controlnet.leave(a1111.torch_unet())
    why = a1111.uncalled()
    if why is not None:
        unet.step_aside(f"{why}; PyTorch computes")
    elif a1111.taken_over() and not controlnet.record(a1111.torch_unet(), unet):
        unet.step_aside()


def before_batch(p):
    """Prepares the coming pass to be computed again, should an engine fail in it."""
    before_pass()
    repeat.watch(p, unet, before_pass)


@aside
def after_job():
    controlnet.leave(a1111.torch_unet())
    teller.tell(catalogue.index.socket, unet.end_job())
    # After a refiner too, which engines may have worked before.
    if not is_current():
        unet.put_away()


@aside
def put_away(*args, **kwargs):
    """Frees what is on the GPU: the web UI unloads its model."""
    unet.put_away()
