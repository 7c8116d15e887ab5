"""What the check of A1111's web UI takes."""
import argparse
import sys
from pathlib import Path

PARTS = ("pictures", "pretended", "loras", "changes", "random", "larger", "starts", "stops", "browser", "times")


def parsed(description):
    """Returns the arguments of the command."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("webui", type=Path, help="its folder")
    parser.add_argument("--models", type=Path, help="a folder with two checkpoints in Stable-diffusion, and perhaps a "
                        "LoRA in Lora; by default the web UI's own")
    parser.add_argument("--extension", type=Path, required=True, help="the extension's folder")
    parser.add_argument("--python", default=sys.executable, help="the Python that it runs with")
    parser.add_argument("--data-dir", type=Path, help="sdtrtd's data folder; none by default")
    parser.add_argument("--chromium", help="the browser")
    parser.add_argument("--tools", help="a folder with playwright, pillow and numpy; PYTHONPATH is the web UI's")
    parser.add_argument("--regional-prompter", type=Path, help="the folder of that extension")
    parser.add_argument("--controlnet", type=Path, help="the folder of sd-webui-controlnet, for `times`; control.py "
                        "checks it")
    parser.add_argument("--only", action="append", choices=PARTS, help="all by default")
    parser.add_argument("--job", action="append", default=[], help="usual, timed and random jobs and LoRAs whose names "
                        "have this; all by default")
    parser.add_argument("--reloads", type=int, default=20)
    parser.add_argument("--starts", type=int, default=5, help="how many with the extension and without are compared")
    parser.add_argument("--seconds", type=float, default=1e9, help="no LoRA's, random or large job begins later than "
                        "this after the start")
    parser.add_argument("--part", default="1/1", help="which of the random jobs with a GPU: 1/2 for every second one, "
                        "2/2 for the others")
    parser.add_argument("--alone", type=Path, help="a file that is locked while times are measured")
    parser.add_argument("--once", action="store_true", help="let engines make each picture only once")
    parser.add_argument("--without", action="store_true", help="stop and reload it without the extension too")
    parser.add_argument("--port", type=int, default=7955)
    parser.add_argument("--gpu", action="store_true", help="let it use the GPU")
    parser.add_argument("--argument", action="append", default=[], help="one more of its own")
    return parser.parse_args()
