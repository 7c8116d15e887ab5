"""Many small checkpoints, for tests with a real daemon."""
import json
import struct
from math import prod
from pathlib import Path

MANIFEST = Path(__file__).parent.parent.parent / "tests/fixtures/sd1.json"
BYTES = {"F16": 2, "F32": 4}


def write(folder, count):
    """Writes a checkpoint of the golden kind with other weights for each, most of which take no space on disk, and a
    preview beside every other one."""
    from PIL import Image, ImageDraw

    golden = json.loads(MANIFEST.read_text())
    size, tensors = BYTES[golden["dtype"]], {}
    end = 0
    for name, shape in golden["tensors"]:
        begin, end = end, end + prod(shape) * size
        tensors[name] = {"dtype": golden["dtype"], "shape": shape, "data_offsets": [begin, end]}
    header = json.dumps(tensors).encode()
    for number in range(count):
        path = folder / f"{KINDS[number % len(KINDS)]}/{name_of(number)}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.write(struct.pack("<Q", len(header)) + header)
            file.truncate(8 + len(header) + end)
            file.seek(8 + len(header) + tensors["model.diffusion_model.out.2.weight"]["data_offsets"][0])
            file.write(struct.pack("<4e", *(number % place / 64 for place in (7, 11, 13, 17))))
        if number % 2 == 0:
            picture = Image.new("RGB", (128, 128), colour(number, 37, 59, 83))
            ImageDraw.Draw(picture).ellipse((32, 24, 96, 112), fill=colour(number, 71, 17, 43))
            picture.save(path.with_suffix(".preview.png"))


def colour(number, *factors):
    return tuple(number * factor % 256 for factor in factors)


KINDS = ("photo", "anime", "landscape", "portrait")
WORDS = ("amber", "birch", "cobalt", "dune", "ember", "fjord", "glacier", "heron", "indigo", "juniper")


def name_of(number):
    return f"{WORDS[number % 10]} {WORDS[number // 10 % 10]} v{number // 100 + 1}"
