"""The latents of a golden's case, by their kind, `input` in the manifest. The crate `goldens` has the same
formulas, step for step in fp32, so both compute the same values.

Each is a function of `noise`, which returns uniform values of unit variance for a name and a shape, and of the
shape [batch, channels, height, width]. All except `noise` are rounded to fp16, as for engines: some have only a
few of its digits.
"""
import torch

# Pixels between the grid points of `smooth`.
CELL = 8


def constant(noise, shape):
    """One value per channel of each image."""
    return noise("level", [*shape[:2], 1, 1]).expand(shape)


def nearly_constant(noise, shape):
    """Channels whose mean is about 100 times their deviation."""
    return constant(noise, shape) + noise("", shape) * 2**-7


def flat_halves(noise, shape):
    """Constant in the left half, noise in the right half."""
    left = torch.arange(shape[3]) < shape[3] // 2
    return torch.where(left, constant(noise, shape), noise("", shape))


def smooth(noise, shape):
    """Random values at every eighth pixel, interpolated linearly."""
    *outer, height, width = shape
    grid = noise("grid", [*outer, height // CELL + 2, width // CELL + 2])
    y, x = torch.arange(height), torch.arange(width)
    down, right = (y % CELL / CELL)[:, None], x % CELL / CELL
    y, x = y // CELL, x // CELL
    line = lambda a, b, share: a + (b - a) * share
    upper, lower = (line(grid[:, :, rows][..., x], grid[:, :, rows][..., x + 1], right) for rows in (y, y + 1))
    return line(upper, lower, down)


SAMPLES = {
    "constant": constant,
    "nearly_constant": nearly_constant,
    "flat_halves": flat_halves,
    "tiny": lambda noise, shape: noise("", shape) * 2**-7,
    "huge": lambda noise, shape: noise("", shape) * 2**6,
    "smooth": smooth,
}


def sample(kind, noise, shape):
    """Returns latents of this kind in fp32; without a kind, plain noise."""
    if kind is None:
        return noise("", shape)
    return SAMPLES[kind](noise, shape).half().float()
