"""For checks: an extension of Forge's family that changes the UNet's weights in memory for a job, in each way in which
one can, and puts them back after it."""
import gradio as gr
import torch

from modules import script_callbacks, scripts

FACTOR = 1.5


def parameters(model):
    """Returns where the weights to be changed are."""
    unet = model.forge_objects.unet.model.diffusion_model
    return [module._parameters for name, module in unet.named_modules() if name.endswith("attn1.to_q")]


def put(way, held, values):
    # It may have been moved meanwhile.
    values = values.to(held["weight"].device)
    if way == "in place":
        held["weight"].data.copy_(values)
    elif way == "data":
        held["weight"].data = values
    else:
        held["weight"] = torch.nn.Parameter(values, requires_grad=False)


class Merging(scripts.Script):
    # In which way and from which step on, of which model, and what the weights were before.
    way = step = model = before = None

    def title(self):
        return "Merging"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def ui(self, is_img2img):
        return [gr.Textbox(visible=False), gr.Number(value=-1, visible=False)]

    def process_before_every_sampling(self, p, way, step, *args, **kwargs):
        Merging.way, Merging.step, Merging.model = way or None, int(step or 0), p.sd_model
        if Merging.way and Merging.step < 0:
            change()

    def postprocess(self, p, processed, *args):
        if Merging.before is not None:
            for held, values in zip(parameters(Merging.model), Merging.before, strict=True):
                put(Merging.way, held, values)
        Merging.before = Merging.way = Merging.model = None


def change():
    held = parameters(Merging.model)
    Merging.before = [each["weight"].detach().clone() for each in held]
    for each, values in zip(held, Merging.before, strict=True):
        put(Merging.way, each, values * FACTOR)


def in_a_step(parameters):
    if Merging.way and Merging.before is None and parameters.sampling_step >= Merging.step:
        change()


script_callbacks.on_cfg_denoiser(in_a_step)
