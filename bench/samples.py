"""What the latents of a golden's case look like, by the name that its manifest gives as `input`. The crate
`goldens` has the same formulas, step for step in fp32, so that both make the same numbers.

Each is a function of `noise`, which gives uniform numbers of unit variance for a name and a shape, and of the
shape [batch, channels, height, width]. All but `noise` are rounded to fp16, as engines take them: a few of
their digits are all that some have.
"""
import torch

# Pixels between the numbers that `smooth` goes through.
CELL = 8


def constant(noise, shape):
    """One number for each channel of each image."""
    return noise("level", [*shape[:2], 1, 1]).expand(shape)


def nearly_constant(noise, shape):
    """Channels whose mean is about 100 times their deviation."""
    return constant(noise, shape) + noise("", shape) * 2**-7


def flat_halves(noise, shape):
    """Constant on the left, noise on the right."""
    left = torch.arange(shape[3]) < shape[3] // 2
    return torch.where(left, constant(noise, shape), noise("", shape))


def smooth(noise, shape):
    """Numbers at every eighth pixel, and lines between them."""
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
    """The latents of this kind, fp32; without a kind, noise as it is."""
    if kind is None:
        return noise("", shape)
    return SAMPLES[kind](noise, shape).half().float()
