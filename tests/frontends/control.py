"""Checks ControlNet in a whole AUTOMATIC1111 web UI: `python3 tests/frontends/control.py --help`.

The real sd-webui-controlnet, with control nets of random weights, makes the same pictures without our extension, with
it, and with PyTorch in the place of an engine (pretend): all must be the same files. With a GPU (--gpu) jobs have
people's sizes and engines compute: they must be at least 40 dB alike, and the same files twice. Nothing of the
extension is in the repository.
"""
import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from a1111 import ALONE, FLAGS, ON_CPU, ON_GPU, SETTINGS
from counts import Counts
from jobs import COMMON, INPUT, LONG, MASK, full_size, picture
from pictures import LEAST_DB, Made, alike, is_same, make
from server import Server, scratch
from together import Ahead

HERE = Path(__file__).resolve().parent
PRETEND, SMALL, NETS = HERE / "pretend", HERE / "control/small", HERE / "control/nets.py"
HINT = picture(64, "black", lambda pen: pen.line((4, 60, 30, 8, 60, 50), fill="white", width=3))
OTHER_HINT = picture(64, "gray", lambda pen: pen.rectangle((20, 4, 60, 30), fill="red"))


def unit(model, **changes):
    """A unit of ControlNet's."""
    return {"enabled": True, "module": "none", "model": model, "image": HINT, "weight": 1.0, "guidance_start": 0.0,
            "guidance_end": 1.0, "control_mode": "Balanced", "resize_mode": "Just Resize", "processor_res": 64,
            "pixel_perfect": False} | changes


def all_jobs(checkpoint, models, lora):
    """Returns (name, path of the API, body, what our line says if PyTorch computes) of each job."""
    first, second, shuffle, lllite = (f"control-{name}" for name in ("a", "b", "shuffle", "lllite"))
    full = {name.partition(" ")[0]: name for name in models}
    chosen = {"override_settings": {"sd_model_checkpoint": checkpoint}, "override_settings_restore_afterwards": False}

    def job(name, *units, path="txt2img", why=None, **changes):
        each = [unit(full.get(model, "None"), **given) for model, given in units]
        scripts = {"alwayson_scripts": {"controlnet": {"args": each}}}
        return name, path, COMMON | chosen | {"steps": 4} | scripts | changes, why

    plain = (first, {})
    jobs = [
        job("no ControlNet"),
        job("one net", plain),
        job("again", plain),
        job("half weight, first half", (first, {"weight": 0.5, "guidance_end": 0.5})),
        job("second half", (first, {"guidance_start": 0.6})),
        job("two nets", plain, (second, {"image": OTHER_HINT, "weight": 0.7})),
        job("two nets at different times", (first, {"guidance_end": 0.4}), (second, {"guidance_start": 0.6})),
        job("ControlNet is more important", (first, {"control_mode": "ControlNet is more important"})),
        job("my prompt is more important", (first, {"control_mode": "My prompt is more important"})),
        job("a mask", (first, {"effective_region_mask": MASK})),
        job("averaged over the picture", (shuffle, {})),
        job("batch of two", plain, batch_size=2),
        job("two batches", plain, n_iter=2),
        job("long prompt", plain, prompt=LONG),
        job("no negative prompt", plain, cfg_scale=1, negative_prompt=""),
        job("odd sizes", plain, width=72, height=88),
        job("hires", plain, enable_hr=True, hr_scale=2, hr_second_pass_steps=2, hr_upscaler="Latent",
            denoising_strength=0.6),
        job("low res only", (first, {"hr_option": "Low res only"}), enable_hr=True, hr_scale=2,
            hr_second_pass_steps=2, hr_upscaler="Latent", denoising_strength=0.6),
        job("DPM++ 2M", plain, sampler_name="DPM++ 2M"),
        job("colour fix", (first, {"module": "tile_colorfix", "threshold_a": 2, "image": OTHER_HINT})),
        job("img2img", plain, path="img2img", init_images=[INPUT], denoising_strength=0.6),
        job("inpaint", (first, {"image": None}), path="img2img", init_images=[INPUT], denoising_strength=0.8, mask=MASK,
            inpainting_fill=1),
        job("inpaint_only", (first, {"module": "inpaint_only", "image": {"image": INPUT, "mask": MASK}})),
        job("reference-only", (None, {"module": "reference_only"}), why="reference-only"),
        job("one net with reference-only", plain, (None, {"module": "reference_only"}),
            why="reference-only"),
        job("after reference-only", plain),
        job("LLLite", (lllite, {}), why="LLLite"),
        job("after LLLite", plain),
        job("without ControlNet again"),
    ]
    if lora is not None:
        jobs += [job("LoRA", plain, prompt=f"a red cat <lora:{lora}:0.8>"), job("without LoRA", plain)]
    return jobs


class Check:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.models = (options.models or options.webui / "models").resolve()
        self.lora = next((file.stem for file in sorted((self.models / "Lora").glob("*.safetensors"))), None)
        self.failures, self.servers = [], []
        nets = folder / "nets"
        checkpoint = sorted((self.models / "Stable-diffusion").glob("*.safetensors"))[0]
        subprocess.run([options.python, NETS, checkpoint, nets], check=True)
        # It writes beside itself.
        self.extension = folder / "sd-webui-controlnet"
        shutil.copytree(options.controlnet, self.extension)
        self.flags = [*FLAGS, "--ckpt-dir", self.models / "Stable-diffusion", "--lora-dir", self.models / "Lora",
                      "--controlnet-dir", nets, *(ON_GPU if options.gpu else ON_CPU), *options.argument]

    def run(self):
        others = {"sd-webui-controlnet": self.extension, "zz-small": SMALL}
        ours = others | {"sdtrt": self.options.extension.resolve()}
        pairs = ((name, made) for name, made, _ in self.made("without", others, twice=False, port=ALONE))
        try:
            self.compare(Ahead(pairs) if self.options.gpu else dict(pairs), ours)
        finally:
            for server in self.servers:
                server.close()
        if self.failures:
            sys.exit("\n".join(["", *self.failures]))

    def compare(self, expected, ours):
        """Compares with what is made without our extension: with a GPU at the same time."""
        parts = [("with", ours)] + ([] if self.options.gpu else [("pretended", ours | {"zz-pretend": PRETEND})])
        for part, extensions in parts:
            lines, counts = set(), Counts()
            try:
                for name, made, why in self.made(part, extensions, self.options.gpu and not self.options.once):
                    same, told = is_same(expected[name], made, exactly=not self.options.gpu)
                    self.say(f"{name}, {part}", same, told)
                    counts.note(name, expected[name], made)
                    if part == "pretended" or self.options.gpu:
                        self.served(name, made, why)
                    lines.update(made.lines)
            finally:
                print("", *counts.lines(), sep="\n    ", flush=True)
            if part == "with" and not self.options.gpu:
                self.say("one line", len(lines) <= 1, "; ".join(sorted(lines)) or "none")
        self.differences(expected.finished() if self.options.gpu else expected)

    def differences(self, made):
        """Says how much control nets change the picture."""
        plain = made.get("no ControlNet")
        names = ("one net", "two nets", "a mask", "averaged over the picture", "half weight, first half")
        for name in (name for name in names if plain and name in made):
            if not made[name].files:
                self.say(f"{name} changes the picture", False, "no picture")
                continue
            db = alike(plain, made[name])
            self.say(f"{name} changes the picture", db < LEAST_DB, f"{db:.1f} dB beside none")

    def made(self, name, extensions, twice, port=0):
        """Yields each job's name, what is made of it, and what our line says if PyTorch computes."""
        environment = {"SDTRT_DATA_DIR": str(self.options.data_dir or self.folder / "no daemon")}
        server = Server(self.options.python, self.options.webui.resolve(), self.folder / name, self.options.port + port,
                        self.flags, extensions, environment)
        self.servers.append(server)
        try:
            server.start()
            server.ask("options", SETTINGS)
            checkpoint = server.ask("sd-models")[0]["title"]
            models = ask_controlnet(server)
            for job, path, body, why in all_jobs(checkpoint, models, self.lora):
                if self.options.only and not any(each in job for each in self.options.only):
                    continue
                found = make(server, path, full_size(body) if self.options.gpu else body, twice)
                # What the nets were given comes after the pictures.
                count = body.get("batch_size", 1) * body.get("n_iter", 1)
                files, again = (each and each[:count] for each in (found.files, found.again))
                yield job, Made(files, found.lines, again), why
        finally:
            server.close()

    def served(self, name, made, why):
        said = "; ".join(dict.fromkeys(made.lines))
        if why is None:
            fine = (made.is_served and not made.by_pytorch) or made.is_by_choice
            repeats = "" if made.by_pytorch else made.repeats
            self.say(f"{name} is served", fine and not repeats.isupper(), ", ".join(filter(None, (repeats, said))))
        else:
            self.say(f"{name} is not", any(why in line for line in made.lines), said)

    def say(self, name, fine, told):
        print(f"{'ok' if fine else 'BAD':4}{name:52}{told}", flush=True)
        if not fine:
            self.failures.append(f"{name}: {told}")


def ask_controlnet(server):
    """Returns the control nets that ControlNet has found, by its names."""
    import json
    import urllib.request

    with urllib.request.urlopen(f"{server.address}/controlnet/model_list?update=true", timeout=60) as reply:
        return json.load(reply)["model_list"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("webui", type=Path, help="its folder")
    parser.add_argument("--controlnet", type=Path, required=True, help="the folder of sd-webui-controlnet")
    parser.add_argument("--models", type=Path, help="a folder with a checkpoint in Stable-diffusion and perhaps a LoRA "
                        "in Lora; by default the web UI's own")
    parser.add_argument("--extension", type=Path, required=True, help="our extension's folder")
    parser.add_argument("--python", default=sys.executable, help="the Python that it runs with")
    parser.add_argument("--data-dir", type=Path, help="sdtrtd's data folder; none by default")
    parser.add_argument("--only", action="append", help="jobs whose names have this; all by default")
    parser.add_argument("--port", type=int, default=8461)
    parser.add_argument("--gpu", action="store_true", help="let it use the GPU")
    parser.add_argument("--once", action="store_true", help="let engines make each picture only once")
    parser.add_argument("--argument", action="append", default=[], help="one more of its own")
    options = parser.parse_args()
    with scratch() as folder:
        Check(options, folder).run()


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
