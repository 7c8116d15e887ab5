"""For checks: an extension of A1111 that changes the UNet's weights in memory for a job, in each way in which one can,
and puts them back after it."""
import gradio as gr
import torch

from modules import script_callbacks, scripts, shared

FACTOR = 1.5


def parameters():
    """Returns where the weights to be changed are."""
    unet = shared.sd_model.model.diffusion_model
    return [module._parameters for name, module in unet.named_modules() if name.endswith("attn1.to_q")]


def put(way, held, values):
    if way == "in place":
        held["weight"].data.copy_(values)
    elif way == "data":
        held["weight"].data = values
    else:
        held["weight"] = torch.nn.Parameter(values, requires_grad=False)


class Merging(scripts.Script):
    # In which way, with what they were before; and from which step on.
    before = way = step = None

    def title(self):
        return "Merging"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def ui(self, is_img2img):
        return [gr.Textbox(visible=False), gr.Number(value=-1, visible=False)]

    def process(self, p, way, step, *args):
        Merging.way, Merging.step = way or None, int(step or 0)
        if Merging.way and Merging.step < 0:
            change()

    def postprocess(self, p, processed, *args):
        if Merging.before is not None:
            for held, values in zip(parameters(), Merging.before, strict=True):
                put(Merging.way, held, values)
        Merging.before = Merging.way = None


def change():
    Merging.before = [held["weight"].detach().clone() for held in parameters()]
    for held, values in zip(parameters(), Merging.before, strict=True):
        put(Merging.way, held, values * FACTOR)


def in_a_step(parameters):
    if Merging.way and Merging.before is None and parameters.sampling_step >= Merging.step:
        change()


script_callbacks.on_cfg_denoiser(in_a_step)
