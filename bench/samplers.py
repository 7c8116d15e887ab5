"""Sampling as in front ends, with only a UNet: schedules of noise levels σ, three samplers and guidance.

A model is a function of latents [1, 4, height, width] in fp32 and a noise level; it returns the latents without
noise. A sampler gets a model, latents with noise of the first level, all levels, of which the last is 0, and a
function that returns new noise.
"""
import math

import numpy
import torch

GUIDANCE = 7.0
RHO = 7.0


def log_levels():
    """Returns ln σ of the 1,000 timesteps that SD and SDXL were trained with."""
    betas = numpy.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    kept = numpy.cumprod(1 - betas)
    return numpy.log((1 - kept) / kept) / 2


LOG_LEVELS = log_levels()


def even(steps):
    """Returns the levels at evenly spaced timesteps from 999 to 0, and 0."""
    times = numpy.linspace(999, 0, steps)
    return [*numpy.exp(numpy.interp(times, numpy.arange(1000), LOG_LEVELS)).tolist(), 0.0]


def karras(steps):
    """Returns levels whose seventh roots are evenly spaced, and 0."""
    most, least = (math.exp(level / RHO) for level in (LOG_LEVELS[-1], LOG_LEVELS[0]))
    return [*(numpy.linspace(most, least, steps) ** RHO).tolist(), 0.0]


def time_step(level):
    """Returns a level's timestep, interpolated between the 1,000."""
    return float(numpy.interp(math.log(level), LOG_LEVELS, numpy.arange(1000)))


def euler(model, x, levels, _):
    for level, following in zip(levels, levels[1:]):
        slope = (x - model(x, level)) / level
        x = x + slope * (following - level)
    return x


def euler_ancestral(model, x, levels, noise):
    for level, following in zip(levels, levels[1:]):
        # Steps to below the next level, and adds noise to reach it.
        added = following * (1 - (following / level) ** 2) ** 0.5
        down = (following**2 - added**2) ** 0.5
        slope = (x - model(x, level)) / level
        x = x + slope * (down - level)
        if following:
            x = x + noise() * added
    return x


def dpmpp_2m(model, x, levels, _):
    earlier = width = None
    for level, following in zip(levels, levels[1:]):
        clean = target = model(x, level)
        if following and earlier is not None:
            # Extrapolates from the last two, in proportion to the step sizes in ln σ.
            target = clean + (clean - earlier) * (math.log(level / following) / (2 * width))
        x = target + (x - target) * (following / level)
        earlier, width = clean, math.log(level / following) if following else None
    return x


SAMPLERS = {"Euler": (euler, even), "DPM++ 2M Karras": (dpmpp_2m, karras), "Euler a": (euler_ancestral, even)}


class Guided:
    """A UNet as a model with guidance. `run` is called like the UNet, with two rows of `dtype`: the same latents
    with both rows of `text` [2, tokens, width], the prompt's and the negative prompt's.

    `prediction` is the meaning of the UNet's output f: the noise (`eps`) or the velocity (`v`). With y = x / √(σ²
    + 1), the UNet's input, x without noise is x − σ f or y / √(σ² + 1) − σ f / √(σ² + 1)."""

    def __init__(self, run, text, dtype, prediction):
        self.run, self.text, self.dtype, self.prediction = run, text.to(dtype), dtype, prediction

    def __call__(self, x, level):
        root = (level**2 + 1) ** 0.5
        found = self.run(
            sample=(x / root).to(self.dtype).repeat(2, 1, 1, 1),
            timesteps=torch.full((2,), time_step(level), device=x.device),
            encoder_hidden_states=self.text,
        )
        prompt, none = found.float().chunk(2)
        f = none + GUIDANCE * (prompt - none)
        return x - level * f if self.prediction == "eps" else x / root**2 - f * (level / root)
