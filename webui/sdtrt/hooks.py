"""What the web UI calls: its list of UNets, and before and after each job."""
from __future__ import annotations

from modules import sd_models, sd_unet

from . import a1111, options, repeat
from .gpu import Gpu
from .index import IndexFile
from .place import Place, data_folder
from .shapes import Teller
from .unet import Unet

place: Place
index_file: IndexFile
catalogue: options.Catalogue
unet: Unet
teller: Teller
# What the web UI's list of UNets was made of: its checkpoints, the index, and the model that is loaded.
_listed: tuple | None = None
_said = False


def start(folder):
    """Works with this data folder of the daemon's."""
    global place, index_file, catalogue, unet, teller, _listed
    place = Place(folder)
    index_file = IndexFile(place.index)
    catalogue = options.Catalogue(index_file)
    unet = Unet(catalogue, place, Gpu(place, a1111.say), a1111)
    teller = Teller(place.shapes)
    _listed = None


start(data_folder())


class EngineOption(sd_unet.SdUnetOption):
    """An entry of the web UI's list. All of them mean the engines of the model that is loaded."""

    def __init__(self, choice):
        self.model_name = choice.model_name
        self.label = choice.label

    def create_unet(self):
        return unet

    # The web UI loads again what is not equal.
    def __eq__(self, other):
        return isinstance(other, EngineOption) and self.label == other.label

    __hash__ = None  # type: ignore[assignment]


def is_ours(option):
    return isinstance(option, EngineOption)


def seen():
    """What the entries follow from: the file and the name of each checkpoint that the web UI has in its list, the
    index, and the name of the model that is loaded if there are engines for what it is."""
    # A copy: while it loads a checkpoint, another thread changes its title in there.
    known = [(info.filename, info.model_name) for info in list(sd_models.checkpoints_list.values())]
    loaded = a1111.torch_unet()
    served = loaded is not None and catalogue.index.shared(unet.looks.signature(loaded))
    return known, catalogue.index, a1111.loaded_name() if served else None


def list_unets(unets):
    """Adds the entries; the web UI calls this at its start and when the list is refreshed."""
    global _listed
    index_file.refresh()
    if index_file.problem:
        a1111.say(index_file.problem)
    _listed = known, index, loaded = seen()
    if a1111.is_lowvram():
        a1111.say("with --lowvram the weights are never all on the GPU, where engines read them; PyTorch computes")
        return
    say_strangers(index, [path for path, _ in known])
    unets.extend(map(EngineOption, options.choices(index, catalogue.files, known, loaded)))


def say_strangers(index, paths):
    """Says once why engines with weights of their own are not used for files that the daemon sees elsewhere."""
    global _said
    unknown = catalogue.files.checkpoints(index, paths)
    strangers = options.elsewhere(index, catalogue.files, [path for path in paths if path not in unknown])
    if not strangers or _said:
        return
    _said = True
    path, known = next(iter(strangers.items()))
    a1111.say(
        f"sdtrtd knows {path} as {known}, which leads nowhere here: shared engines serve it, and those with weights "
        "inside do not, as nobody can tell that it is the same file. Have both see the models at one path"
    )


def is_current():
    return sd_unet.current_unet is unet


def follow():
    """Has the web UI's list as it should be before it chooses from it."""
    # Not whether the index has changed just now: the tab looks at it too.
    if seen() != _listed:
        sd_unet.list_unets()


def before_job():
    """Takes up engines that have come since."""
    index_file.refresh()
    unet.start_job()


def before_pass():
    """Has engines for the checkpoint that is loaded: after a refiner, or for a hires checkpoint, the web UI may
    have loaded it without choosing any. Makes way for an extension that works inside of the UNet."""
    sd_unet.apply_unet()
    if not is_current():
        return
    unet.start_pass()
    if a1111.taken_over():
        unet.step_aside()


def before_batch(p):
    """The pass that comes can be computed anew, should an engine fail in it."""
    before_pass()
    repeat.watch(p, unet, before_pass)


def after_job():
    if is_current():
        teller.tell(catalogue.index.socket, unet.end_job())
    else:
        unet.put_away()
